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

  def derive
    redis = Gitlab['redis']
    rails = Gitlab['gitlab_rails']
    redis['master_password'] ||= redis['password'] if Gitlab['redis_master_role']['enable']
    return unless redis['port'].to_i.positive?

    redis['unixsocket'] = false
    return unless Package.enabled?('redis') && [nil, []].include?(rails['redis_sentinels'])

    rails['redis_host'] ||= (redis['bind'] || DEFAULTS['bind']).split.first
    rails['redis_port'] ||= redis['port']
    rails['redis_password'] ||= redis['master_password']
  end

  def converge(run)
    return run.disable_service('redis') unless Package.enabled?('redis')

    redis = Attributes.merge(DEFAULTS, Gitlab['redis'])
    was_up = run.service_up?('redis')
    # Clients on this node reach the socket through the group of the web server's user; here that is git.
    run.directory(redis['dir'], owner: 'gitlab-redis', group: 'git', mode: 0o750)
    run.directory(redis['log_directory'], owner: 'gitlab-redis', mode: 0o700)
    changed = run.file("#{redis['dir']}/redis.conf", conf(redis), owner: 'gitlab-redis', group: 'gitlab-redis')
    changed |= run.enable_service('redis', run: script(redis), log_directory: redis['log_directory'])
    run.restart_service('redis') if changed && was_up
  end

  def conf(redis)
    lines = ["bind #{redis['bind']}", "port #{redis['port']}", "dir #{redis['dir']}", 'daemonize no', 'save ""']
    lines += ["unixsocket #{redis['unixsocket']}", 'unixsocketperm 777'] if redis['unixsocket']
    lines += ["requirepass \"#{redis['password']}\"", "masterauth \"#{redis['password']}\""] if redis['password']
    "#{lines.join("\n")}\n"
  end

  def script(redis)
    <<~SH
      #!/bin/sh
      exec 2>&1
      umask 077
      exec chpst -P -u gitlab-redis:gitlab-redis:git /opt/gitlab/embedded/bin/redis-server #{redis['dir']}/redis.conf
    SH
  end
end
