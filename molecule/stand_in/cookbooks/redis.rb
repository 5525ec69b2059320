# frozen_string_literal: true

# The bundled Redis, and how others on this node reach it.
module Redis
  DEFAULTS = {
    'dir' => '/var/opt/gitlab/redis',
    'log_directory' => '/var/log/gitlab/redis',
    'bind' => '127.0.0.1',
    'port' => 0,
    'unixsocket' => '/var/opt/gitlab/redis/redis.socket',
    'master_name' => 'gitlab-redis'
  }.freeze

  module_function

  # What Rails is told of Redis, and KAS after it.
  def derive
    redis = Gitlab['redis']
    over_tcp if redis['port']&.positive? || redis['tls_port']&.positive?
    redis['master'] = false if Gitlab['redis_replica_role']['enable']
    replicated = Roles.enabled?('sentinel') || redis['master'] == false
    if Roles.enabled?('redis') && (replicated || Gitlab['redis_master_role']['enable'])
      redis['master_password'] ||= redis['password']
    end
    %w[master_ip master_password].each { |key| raise "redis '#{key}' is not defined" unless redis[key] } if replicated
    Gitlab['gitlab_rails']['redis_sentinels_password'] ||= Gitlab['sentinel']['password'] if Roles.enabled?('sentinel')
  end

  # The plain port goes before the one with TLS.
  def over_tcp
    redis = Gitlab['redis']
    rails = Gitlab['gitlab_rails']
    redis['unixsocket'] = false
    return unless Roles.enabled?('redis') && [nil, []].include?(rails['redis_sentinels'])

    rails['redis_host'] ||= (redis['bind'] || DEFAULTS['bind']).split.first
    rails['redis_port'] ||= redis.slice('port', 'tls_port').values.find { |port| !port.zero? }
    rails['redis_password'] ||= redis['master_password']
  end

  def converge(run)
    return run.disable_service('redis') unless Roles.enabled?('redis')

    redis = Attributes.merge(DEFAULTS, Gitlab['redis'])
    was_up = run.service_up?('redis')
    # Clients on this node reach the socket through the group of the web server's user; here that is GitLab's.
    run.directory(redis['dir'], owner: 'gitlab-redis', group: Package.group, mode: 0o750)
    run.directory(redis['log_directory'], owner: 'gitlab-redis', mode: 0o700)
    changed = run.file("#{redis['dir']}/redis.conf", conf(redis), owner: 'gitlab-redis', group: 'gitlab-redis')
    changed |= run.enable_service('redis', run: script(redis), log_directory: redis['log_directory'])
    run.restart_service('redis') if changed && was_up
  end

  def conf(redis)
    lines = ["bind #{redis['bind']}", "port #{redis['port']}", "dir #{redis['dir']}", 'daemonize no', 'save ""']
    lines += ["unixsocket #{redis['unixsocket']}", 'unixsocketperm 777'] if redis['unixsocket']
    %w[tls_port tls_cert_file tls_key_file tls_ca_cert_file].each do |key|
      lines << "#{key.tr('_', '-')} #{redis[key]}" if redis[key]
    end
    lines << "requirepass \"#{redis['password']}\"" if redis['password']
    lines << "masterauth \"#{redis['master_password']}\"" if redis['master_password']
    "#{lines.join("\n")}\n"
  end

  def script(redis)
    <<~SH
      #!/bin/sh
      exec 2>&1
      umask 077
      exec chpst -P -u gitlab-redis:gitlab-redis:#{Package.group} \\
        /opt/gitlab/embedded/bin/redis-server #{redis['dir']}/redis.conf
    SH
  end
end
