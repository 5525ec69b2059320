# frozen_string_literal: true

require 'uri'

# Rails: what it says of the external URL, and what it is told about KAS.
module Rails
  ETC = '/var/opt/gitlab/gitlab-rails/etc'
  SERVICE = '/opt/gitlab/embedded/service/gitlab-rails'
  KAS = %w[enabled internal_url external_url external_k8s_proxy_url].freeze

  module_function

  # Checked on every node, whatever runs there.
  def derive
    if (url = Gitlab['external_url'])
      url = URI(url.to_s)
      raise 'GitLab external URL must include a schema and FQDN, e.g. http://gitlab.example.com/' unless url.host
      raise "Unsupported external URL scheme: #{url.scheme}" unless %w[http https].include?(url.scheme)
    end
    Gitlab['gitlab_rails']['redis_password'] ||= Gitlab['redis']['master_password']
  end

  def converge(run)
    return unless Roles.enabled?('gitlab_rails')

    secret = Gitlab['gitlab_kas']['api_secret_key']
    run.directory(ETC, mode: 0o755)
    run.directory("#{SERVICE}/config")
    run.file("#{ETC}/gitlab.yml", gitlab_yml, group: Package.group, mode: 0o640)
    run.link("#{SERVICE}/config/gitlab.yml", "#{ETC}/gitlab.yml")
    return unless secret

    run.file("#{ETC}/gitlab_kas_secret", secret)
    run.link("#{SERVICE}/.gitlab_kas_secret", "#{ETC}/gitlab_kas_secret")
  end

  # Without quotes, as in the package.
  def gitlab_yml
    host = Gitlab['external_url'] && URI(Gitlab['external_url']).host
    kas = KAS.map { |key| "    #{key}: #{Gitlab['gitlab_rails']["gitlab_kas_#{key}"]}\n" }
    "production:\n  gitlab:\n    host: #{host}\n  gitlab_kas:\n#{kas.join}"
  end
end
