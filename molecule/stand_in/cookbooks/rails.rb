# frozen_string_literal: true

require 'uri'
require 'yaml'

# What Rails is told about KAS.
module Rails
  ETC = '/var/opt/gitlab/gitlab-rails/etc'
  SERVICE = '/opt/gitlab/embedded/service/gitlab-rails'

  module_function

  def converge(run)
    return unless Package.enabled?('gitlab_rails')

    run.directory(ETC, mode: 0o755)
    run.directory("#{SERVICE}/config")
    run.file("#{ETC}/gitlab.yml", YAML.dump(settings), group: 'git', mode: 0o640)
    run.link("#{SERVICE}/config/gitlab.yml", "#{ETC}/gitlab.yml")
    run.file("#{ETC}/gitlab_kas_secret", Gitlab['gitlab_kas']['api_secret_key'])
    run.link("#{SERVICE}/.gitlab_kas_secret", "#{ETC}/gitlab_kas_secret")
  end

  def settings
    rails = Gitlab['gitlab_rails']
    kas = %w[enabled external_url internal_url external_k8s_proxy_url]
    { 'production' => {
      'gitlab' => { 'host' => Gitlab['external_url'] && URI(Gitlab['external_url']).host },
      'gitlab_kas' => kas.to_h { |key| [key, rails["gitlab_kas_#{key}"]] }
    } }
  end
end
