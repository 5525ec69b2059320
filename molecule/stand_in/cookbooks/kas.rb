# frozen_string_literal: true

require 'erb'
require 'uri'

# KAS: defaults by version, what is derived from other settings, and the files of the service.
module Kas
  CONFIG = File.read(File.join(__dir__, 'gitlab-kas-config.yml.erb'))
  REDIS_PORT = 6379
  REDIS_KEYS = %w[
    redis_host redis_port redis_socket redis_username redis_password redis_ssl redis_tls_ca_cert_file
    redis_tls_client_cert_file redis_tls_client_key_file redis_sentinels redis_sentinels_username
    redis_sentinels_password redis_sentinels_ssl redis_sentinels_tls_ca_cert_file
    redis_sentinels_tls_client_cert_file redis_sentinels_tls_client_key_file
  ].freeze

  module_function

  def defaults
    {
      'enable' => false,
      'gitlab_address' => '',
      'agent_configuration_poll_period' => 300,
      'agent_info_cache_ttl' => 300,
      'agent_info_cache_error_ttl' => 60,
      'listen_address' => 'localhost:8150', 'listen_network' => 'tcp', 'listen_websocket' => true,
      'observability_listen_address' => 'localhost:8151', 'observability_listen_network' => 'tcp',
      'internal_api_listen_address' => 'localhost:8153', 'internal_api_listen_network' => 'tcp',
      'kubernetes_api_listen_address' => 'localhost:8154',
      'private_api_listen_address' => 'localhost:8155', 'private_api_listen_network' => 'tcp',
      'metrics_usage_reporting_period' => 60,
      'log_level' => 'info',
      'grpc_log_level' => 'error',
      'dir' => '/var/opt/gitlab/gitlab-kas',
      'log_directory' => '/var/log/gitlab/gitlab-kas',
      'env_directory' => '/opt/gitlab/etc/gitlab-kas/env',
      'env' => default_env,
      'redis_sentinels' => []
    }
  end

  def default_env
    certificates = { 'SSL_CERT_DIR' => '/opt/gitlab/embedded/ssl/certs/' }
    return certificates.merge('GODEBUG' => 'tlsmlkem=0,tlskyber=0') if Package.since?('17.9.0')

    certificates.merge('OWN_PRIVATE_API_URL' => 'grpc://localhost:8155')
  end

  def setting(key)
    configured = Gitlab['gitlab_kas'][key]
    configured.nil? ? defaults[key] : configured
  end

  def derive
    Gitlab['gitlab_kas']['enable'] = Package.enabled?('gitlab_kas')
    gitlab = Gitlab['external_url'] && URI(Gitlab['external_url'])
    Gitlab['gitlab_kas']['gitlab_address'] ||= Gitlab['external_url']
    Gitlab['gitlab_kas']['gitlab_external_url'] ||= "#{gitlab.scheme}://#{gitlab.host}" if gitlab
    derive_redis
    derive_rails('enabled', setting('enable'))
    return unless setting('enable')

    derive_external_urls(gitlab) if gitlab
    derive_rails('internal_url', "#{internal_scheme}://#{setting('internal_api_listen_address')}")
  end

  def derive_rails(key, value)
    rails = Gitlab['gitlab_rails']
    rails["gitlab_kas_#{key}"] = value if rails["gitlab_kas_#{key}"].nil?
  end

  def derive_external_urls(gitlab)
    Gitlab['gitlab_kas_external_url'] ||= default_external_url(gitlab)
    kas = URI(Gitlab['gitlab_kas_external_url'])
    proxy = "#{Gitlab['external_url']}/-/kubernetes-agent/k8s-proxy/"
    if kas.host != gitlab.host
      check_own_host(kas) if Gitlab['gitlab_rails']['gitlab_kas_external_url'].nil?
      proxy = "#{kas.scheme == 'wss' ? 'https' : 'http'}://#{kas.host}/k8s-proxy/"
    end
    derive_rails('external_url', Gitlab['gitlab_kas_external_url'])
    derive_rails('external_k8s_proxy_url', proxy)
  end

  # The port is lost where it is not the scheme's own: so it is in the package.
  def default_external_url(gitlab)
    unless %w[http https].include?(gitlab.scheme)
      raise "external_url scheme should be 'http' or 'https', got '#{gitlab.scheme}"
    end

    scheme = (setting('listen_websocket') ? 'ws' : 'grpc') + (gitlab.scheme == 'https' ? 's' : '')
    port = gitlab.port == gitlab.default_port ? '' : ':'
    "#{scheme}://#{gitlab.host}#{port}#{gitlab.path}/-/kubernetes-agent/"
  end

  def check_own_host(kas)
    raise 'gitlab_kas_external_url must include a scheme and FQDN, e.g. wss://kas.gitlab.example.com/' unless kas.host
    raise "gitlab_kas_external_url scheme must be 'ws' or 'wss'" unless %w[ws wss].include?(kas.scheme)
    raise "gitlab_kas['listen_websocket'] must be set to `true`" unless setting('listen_websocket')
  end

  def internal_scheme
    case network = setting('internal_api_listen_network')
    when 'unix' then 'unix'
    when 'tcp', 'tcp4', 'tcp6' then 'grpc'
    else raise "gitlab_kas['internal_api_listen_network'] should be 'tcp', 'tcp4', 'tcp6' or 'unix' got '#{network}'"
    end
  end

  # With a Redis of its own, KAS takes nothing over from Rails.
  def derive_redis
    kas = Gitlab['gitlab_kas']
    rails = Gitlab['gitlab_rails']
    return if kas['redis_host'] || kas['redis_socket']

    REDIS_KEYS.each { |key| kas[key] = rails[key] if kas[key].nil? }
    kas['redis_socket'] = Redis::DEFAULTS['unixsocket'] if kas['redis_socket'].nil? && !kas['redis_host']
    kas['redis_sentinels_master_name'] ||= Gitlab['redis']['master_name'] || Redis::DEFAULTS['master_name']
  end

  def converge(run)
    return run.disable_service('gitlab-kas') unless setting('enable')

    kas = Attributes.merge(defaults, Gitlab['gitlab_kas'])
    was_up = run.service_up?('gitlab-kas')
    [kas['dir'], '/opt/gitlab/etc/gitlab-kas', kas['log_directory']].each do |path|
      run.directory(path, owner: 'git', group: 'root', mode: 0o700)
    end
    changed = write_files(run, kas)
    changed |= run.env_dir(kas['env_directory'], kas['env'])
    changed |= run.enable_service('gitlab-kas', run: script(kas), log_directory: kas['log_directory'])
    run.restart_service('gitlab-kas') if changed && was_up
  end

  def write_files(run, kas)
    changed = run.file("#{kas['dir']}/VERSION", "#{`/opt/gitlab/embedded/bin/gitlab-kas --version`.strip}\n")
    files = secret_files(kas)
    files.each { |name, value| changed |= run.file("#{kas['dir']}/#{name}", value, group: 'git', mode: 0o640) }
    config = ERB.new(CONFIG, trim_mode: '-').result_with_hash(kas: kas, redis: redis(kas), files: files.keys)
    changed | run.file("#{kas['dir']}/gitlab-kas-config.yml", config, group: 'git', mode: 0o640)
  end

  def secret_files(kas)
    {
      'authentication_secret_file' => kas['api_secret_key'],
      'private_api_authentication_secret_file' => kas['private_api_secret_key'],
      'websocket_token_secret_file' => (kas['websocket_token_secret_key'] if Package.since?('17.7.0')),
      'redis_password_file' => kas['redis_password'],
      'redis_sentinels_password_file' => kas['redis_sentinels_password']
    }.reject { |_, value| value.to_s.empty? }
  end

  # A Sentinel without a port gets Redis' own, as in the package.
  def redis(kas)
    sentinels = kas['redis_sentinels'].map { |node| "#{node['host']}:#{node['port'] || REDIS_PORT}" }
    return { network: 'tcp', sentinels: sentinels } if sentinels.any?
    return { network: 'unix', address: kas['redis_socket'] } if kas['redis_socket'] && !kas['redis_host']

    { network: 'tcp', address: "#{kas['redis_host']}:#{kas['redis_port'] || REDIS_PORT}" }
  end

  def script(kas)
    <<~SH
      #!/bin/sh
      exec 2>&1
      exec chpst -e #{kas['env_directory']} -P -u git:git -U git:git \\
        /opt/gitlab/embedded/bin/gitlab-kas --configuration-file #{kas['dir']}/gitlab-kas-config.yml
    SH
  end
end
