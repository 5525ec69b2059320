# frozen_string_literal: true

require 'erb'
require 'uri'

# KAS: defaults by version, what is derived from other settings, and the files of the service.
module Kas
  CONFIG = File.read(File.join(__dir__, 'gitlab-kas-config.yml.erb'))
  REDIS_PORT = 6379
  DEFAULTS = {
    'enable' => false,
    'gitlab_address' => '',
    'agent_configuration_poll_period' => 300,
    'agent_gitops_poll_period' => 300,
    'agent_gitops_project_info_cache_ttl' => 300,
    'agent_gitops_project_info_cache_error_ttl' => 60,
    'agent_info_cache_ttl' => 300,
    'agent_info_cache_error_ttl' => 60,
    'listen_address' => 'localhost:8150', 'listen_network' => 'tcp', 'listen_websocket' => true,
    'observability_listen_address' => 'localhost:8151', 'observability_listen_network' => 'tcp',
    'internal_api_listen_address' => 'localhost:8153', 'internal_api_listen_network' => 'tcp',
    'kubernetes_api_listen_address' => 'localhost:8154',
    'private_api_listen_address' => 'localhost:8155', 'private_api_listen_network' => 'tcp',
    'workspaces' => { 'enabled' => false },
    'metrics_usage_reporting_period' => 60,
    'log_level' => 'info',
    'grpc_log_level' => 'error',
    'dir' => '/var/opt/gitlab/gitlab-kas',
    'log_directory' => '/var/log/gitlab/gitlab-kas',
    'env_directory' => '/opt/gitlab/etc/gitlab-kas/env',
    'redis_sentinels' => []
  }.freeze
  # What Rails' own settings are by default: KAS takes them over.
  RAILS_REDIS = {
    'redis_host' => '127.0.0.1',
    'redis_socket' => Redis::DEFAULTS['unixsocket'],
    'redis_ssl' => false,
    'redis_tls_ca_cert_file' => '/opt/gitlab/embedded/ssl/certs/cacert.pem'
  }.freeze

  class << self
    # In the order of the package, which decides what is complained of first.
    def derive
      translate_nginx if Nginx.sections_are_new?
      kas = Gitlab['gitlab_kas']
      kas['gitlab_address'] ||= Gitlab['external_url']
      gitlab = Gitlab['external_url'].nil? ? nil : URI(Gitlab['external_url'])
      kas['gitlab_external_url'] ||= "#{gitlab.scheme}://#{gitlab.host}" if gitlab
      derive_rails('enabled', enabled?)
      derive_external_urls(gitlab) if enabled? && gitlab
      derive_internal_url if enabled?
      derive_redis
    end

    def enabled?
      Roles.enabled?('gitlab_kas')
    end

    def converge(run)
      return run.disable_service('gitlab-kas') unless enabled?

      kas = attributes
      redis = redis(kas)
      was_up = run.service_up?('gitlab-kas')
      directories(run, kas)
      changed = write_files(run, kas, redis)
      changed |= run.env_dir(kas['env_directory'], kas['env'])
      changed |= run.enable_service('gitlab-kas', run: script(kas), log_directory: kas['log_directory'])
      run.restart_service('gitlab-kas') if changed && was_up
    end

    private

    def defaults
      certificates = { 'SSL_CERT_DIR' => '/opt/gitlab/embedded/ssl/certs/' }
      own_url = Package.between?(nil, '17.9.0') ? { 'OWN_PRIVATE_API_URL' => 'grpc://localhost:8155' } : {}
      debug = Package.since?('18.2.0') ? { 'GODEBUG' => 'tlsmlkem=0' } : {}
      DEFAULTS.merge('env' => { **certificates, **own_url, **debug })
    end

    def attributes
      Attributes.merge(@inherited ? defaults.merge(@inherited) : defaults, Gitlab['gitlab_kas'])
    end

    def setting(key)
      configured = Gitlab['gitlab_kas'][key]
      configured.nil? ? defaults[key] : configured
    end

    def derive_rails(key, value)
      rails = Gitlab['gitlab_rails']
      rails["gitlab_kas_#{key}"] = value if rails["gitlab_kas_#{key}"].nil?
    end

    # The section of old goes on working, below what the new one says.
    def translate_nginx
      Gitlab['gitlab_kas']['nginx'] ||= {}
      nginx = Gitlab['gitlab_kas']['nginx']
      return if [nil, {}].include?(Gitlab['gitlab_kas_nginx'])

      Package.deprecations << "gitlab_kas_nginx has been deprecated. Please use gitlab_kas['nginx'] instead."
      Gitlab['gitlab_kas_nginx'].each { |key, value| nginx[key] = value if nginx[key].nil? }
    end

    def derive_external_urls(gitlab)
      Gitlab['gitlab_kas_external_url'] ||= default_external_url(gitlab)
      kas = URI(Gitlab['gitlab_kas_external_url'])
      if kas.host == gitlab.host
        derive_rails('external_url', Gitlab['gitlab_kas_external_url'])
        derive_rails('external_k8s_proxy_url', "#{Gitlab['external_url']}/-/kubernetes-agent/k8s-proxy/")
      else
        derive_own_host(kas, gitlab) if Gitlab['gitlab_rails']['gitlab_kas_external_url'].nil?
        derive_rails('external_url', kas.to_s)
        derive_rails('external_k8s_proxy_url', "#{kas.scheme == 'wss' ? 'https' : 'http'}://#{kas.host}/k8s-proxy/")
      end
    end

    # The port is lost where it is not the scheme's own: so it is in the package.
    def default_external_url(gitlab)
      scheme = (setting('listen_websocket') ? 'ws' : 'grpc') + (gitlab.scheme == 'https' ? 's' : '')
      port = gitlab.port == gitlab.default_port ? '' : ':'
      "#{scheme}://#{gitlab.host}#{port}#{gitlab.path}/-/kubernetes-agent/"
    end

    def derive_own_host(kas, gitlab)
      raise 'gitlab_kas_external_url must include a scheme and FQDN, e.g. wss://kas.gitlab.example.com/' unless kas.host
      raise "gitlab_kas_external_url scheme must be 'ws' or 'wss'" unless %w[ws wss].include?(kas.scheme)
      raise "gitlab_kas['listen_websocket'] must be set to `true`" unless setting('listen_websocket')

      Nginx.derive_kas(kas, gitlab)
    end

    # Nothing is looked at where Rails has an internal URL of its own.
    def derive_internal_url
      return unless Gitlab['gitlab_rails']['gitlab_kas_internal_url'].nil?

      key = "gitlab_kas['internal_api_listen_network']"
      scheme =
        case network = setting('internal_api_listen_network')
        when 'unix' then 'unix'
        when 'tcp', 'tcp4', 'tcp6' then 'grpc'
        else raise "#{key} should be 'tcp', 'tcp4', 'tcp6' or 'unix' got '#{network}'"
        end
      derive_rails('internal_url', "#{scheme}://#{setting('internal_api_listen_address')}")
    end

    # With a Redis of its own, KAS takes nothing over from Rails. What counts is that the key is there.
    def derive_redis
      kas = Gitlab['gitlab_kas']
      return if kas.key?('redis_host') || kas.key?('redis_socket')

      master_name = 'redis_sentinels_master_name'
      @inherited = RAILS_REDIS.merge(master_name => Redis::DEFAULTS['master_name'])
      redis_keys.each { |key| kas[key] = Gitlab['gitlab_rails'][key] unless kas.key?(key) }
      kas[master_name] = Gitlab['redis']['master_name'] unless kas.key?(master_name)
    end

    def redis_keys
      keys = %w[redis_socket redis_host redis_port redis_password redis_sentinels redis_sentinels_password redis_ssl] +
             tls_keys('redis')
      keys += ['redis_sentinels_ssl'] + tls_keys('redis_sentinels') if Package.since?('18.8.0')
      keys << 'redis_username' if Package.since?('19.3.0')
      keys
    end

    def tls_keys(prefix)
      %w[ca_cert client_cert client_key].map { |file| "#{prefix}_tls_#{file}_file" }
    end

    # How KAS gets to Redis. A password that is no text fails.
    def redis(kas)
      passwords = %w[redis_password redis_sentinels_password]
      { **address(kas), passwords: passwords.reject { |key| (kas[key] || '').empty? } }
    end

    # What cannot stand in a URL fails.
    def address(kas)
      sentinels = kas['redis_sentinels'].empty? ? nil : kas['redis_sentinels']
      socket = Gitlab['gitlab_kas']['redis_host'] ? nil : kas['redis_socket']
      if socket && !sentinels
        URI('unix://').path = socket
        return { network: 'unix', address: socket }
      end
      url = URI('redis:/')
      url.host = sentinels ? kas['redis_sentinels_master_name'] : kas['redis_host']
      url.port = kas['redis_port'] unless sentinels
      { network: 'tcp', address: "#{kas['redis_host']}:#{kas['redis_port'] || REDIS_PORT}", sentinels: sentinels }
    end

    def directories(run, kas)
      owner = Package.user
      [kas['dir'], '/opt/gitlab/etc/gitlab-kas'].each do |path|
        run.directory(path, owner: owner, group: 'root', mode: 0o700)
      end
      readers = kas['log_group'] || Gitlab['logging']['log_group']
      run.directory(kas['log_directory'], owner: owner, group: readers || 'root', mode: readers ? 0o750 : 0o700)
    end

    def write_files(run, kas, redis)
      config = ERB.new(CONFIG, trim_mode: '-').result_with_hash(kas: kas, redis: redis)
      files = secret_files(kas, redis[:passwords]).merge('gitlab-kas-config.yml' => config)
      files.reduce(run.file("#{kas['dir']}/VERSION", "#{Package.version}\n")) do |changed, (name, content)|
        run.file("#{kas['dir']}/#{name}", content.to_s, group: Package.group, mode: 0o640) || changed
      end
    end

    # A secret that was not made is an empty file; a password that is not set is none.
    def secret_files(kas, passwords)
      files = {
        'authentication_secret_file' => kas['api_secret_key'],
        'private_api_authentication_secret_file' => kas['private_api_secret_key']
      }
      files['websocket_token_secret_file'] = kas['websocket_token_secret_key'] if Package.since?('17.7.0')
      files.merge(passwords.to_h { |key| ["#{key}_file", kas[key]] })
    end

    def script(kas)
      account = "#{Package.user}:#{Package.group}"
      <<~SH
        #!/bin/sh
        exec 2>&1
        exec chpst -e #{kas['env_directory']} -P -u #{account} -U #{account} \\
          /opt/gitlab/embedded/bin/gitlab-kas --configuration-file #{kas['dir']}/gitlab-kas-config.yml
      SH
    end
  end
end
