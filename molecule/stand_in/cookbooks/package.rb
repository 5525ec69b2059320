# frozen_string_literal: true

require 'json'

# The installed package: its paths, its version, and which of its services gitlab.rb turns on.
module Package
  MANIFEST = '/opt/gitlab/version-manifest.json'
  NON_SERVICE_ROLES = %w[geo_primary geo_secondary].freeze
  SERVICES_OF_ROLE = {
    'default' => %w[gitlab_rails gitlab_kas redis],
    'application' => %w[gitlab_rails gitlab_kas],
    'redis_master' => %w[redis],
    'redis_replica' => %w[redis],
    'sidekiq' => %w[gitlab_rails]
  }.freeze

  module_function

  def version
    @version ||= Gem::Version.new(JSON.parse(File.read(MANIFEST))['build_version'][/\A\d+\.\d+\.\d+/])
  end

  def since?(other)
    version >= Gem::Version.new(other)
  end

  # An explicit `enable` beats every role, but for Rails, which application_role turns on all the same.
  def enabled?(service)
    chosen = roles
    Gitlab['gitlab_rails']['enable'] = true if chosen.include?('application')
    explicit = Gitlab[service]['enable']
    return explicit unless explicit.nil?
    return false if service == 'gitlab_kas' && Gitlab['gitlab_rails']['enable'] == false

    chosen.any? { |role| SERVICES_OF_ROLE.fetch(role, []).include?(service) }
  end

  def roles
    listed = [Gitlab['roles'] || []].flatten.map { |name| name.to_s.tr('-', '_') }
    unknown = listed.reject { |name| Gitlab::ROLES.include?(name.delete_suffix('_role')) }
    raise "The following invalid roles have been set in 'roles': #{unknown.join(', ')}" if unknown.any?

    chosen = Gitlab::ROLES.select { |role| listed.include?("#{role}_role") || Gitlab["#{role}_role"]['enable'] }
    (chosen - NON_SERVICE_ROLES).empty? ? chosen + ['default'] : chosen
  end
end
