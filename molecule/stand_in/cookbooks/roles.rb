# frozen_string_literal: true

# Which services a node runs: what gitlab.rb says of a service, else what the node's roles turn on.
module Roles
  # The services of each role, in the order in which the package loads them.
  SERVICES = {
    'application' => %w[gitaly gitlab_kas puma sidekiq],
    'sidekiq' => %w[sidekiq],
    'postgres' => [],
    'patroni' => [],
    'redis_sentinel' => %w[sentinel],
    'redis_master' => %w[redis],
    'redis_replica' => %w[redis],
    'geo_primary' => [],
    'geo_secondary' => %w[geo_logcursor],
    'monitoring' => [],
    'pgbouncer' => [],
    'consul' => [],
    'pages' => %w[nginx],
    'spamcheck' => [],
    'gitaly' => %w[gitaly],
    'backup' => []
  }.freeze
  # A node without any other role runs these; where Rails is off, those of the application are left out.
  DEFAULT = (SERVICES['application'] + %w[redis nginx]).freeze
  # These come beside others: they do not say what the node is.
  BESIDE = %w[geo_primary geo_secondary backup].freeze
  # The services that a Geo secondary needs Rails for.
  NEED_RAILS = %w[puma sidekiq geo_logcursor gitaly].freeze

  class << self
    def names
      SERVICES.keys.select do |role|
        case role
        when 'spamcheck' then Package.between?(nil, '19.0.0')
        when 'backup' then Package.since?('18.11.0')
        else true
        end
      end
    end

    def load
      list
      @enabled = []
      start_default
      names.select { |role| on?(role) }.each { |role| start(role) }
    end

    # What gitlab.rb says beats every role.
    def enabled?(service)
      explicit = Gitlab[service]['enable']
      return explicit unless explicit.nil?

      service == 'gitlab_rails' || @enabled.include?(service)
    end

    private

    def on?(role)
      Gitlab["#{role}_role"]['enable']
    end

    # `roles [...]`, with hyphens or underscores.
    def list
      return unless Gitlab['roles']

      listed = [Gitlab['roles']].flatten.map { |role| role.tr('-', '_') }
      unknown = listed - names.map { |role| "#{role}_role" }
      raise "The following invalid roles have been set in 'roles': #{unknown.join(', ')}" if unknown.any?

      listed.each { |role| Gitlab[role]['enable'] = true }
    end

    def start_default
      return if (names - BESIDE).any? { |role| on?(role) }

      @enabled += Gitlab['gitlab_rails']['enable'] == false ? DEFAULT - SERVICES['application'] : DEFAULT
    end

    def start(role)
      if role.start_with?('redis_') && on?('redis_master') && on?('redis_replica')
        raise 'Cannot define both redis_master_role and redis_replica_role in the same machine.'
      end

      @enabled += SERVICES[role]
      Gitlab['nginx']['enable'] = true if role == 'application' && Gitlab['nginx']['enable'].nil?
      rails = Gitlab['gitlab_rails']
      rails['enable'] = rails_on?(role) if rails['enable'].nil?
    end

    # Whether Rails is on where gitlab.rb does not say so. The first role decides; nil leaves it to the next.
    def rails_on?(role)
      case role
      when 'application', 'postgres', 'patroni' then true
      when 'sidekiq' then sidekiq_needs_rails?
      when 'geo_primary', 'backup' then nil
      when 'geo_secondary' then NEED_RAILS.any? { |service| enabled?(service) }
      else false
      end
    end

    # Until then the role left it to the others.
    def sidekiq_needs_rails?
      Package.between?('18.4.5', '18.5.0') || Package.between?('18.5.3', '18.6.0') || Package.since?('18.6.1') || nil
    end
  end
end
