# frozen_string_literal: true

require 'etc'
require 'fileutils'

# Accounts, files, directories, links and services: each is looked at, and touched only where it differs.
# Every method says whether it changed something; `report` has Chef's closing line. Paths are those of the package.
class Resources
  def initialize
    @total = 0
    @updated = 0
    @started = Process.clock_gettime(Process::CLOCK_MONOTONIC)
  end

  def report(outcome = 'complete')
    seconds = (Process.clock_gettime(Process::CLOCK_MONOTONIC) - @started).round
    "Infra Phase #{outcome}, #{@updated}/#{@total} resources updated in #{format('%02d', seconds)} seconds"
  end

  def account(user, group)
    changed = made?(:getgrnam, group, %w[groupadd --system])
    changed |= made?(:getpwnam, user, %W[useradd --system --no-create-home --home-dir /var/opt/gitlab --gid #{group}])
    count("account[#{user}] action create", changed)
  end

  def directory(path, owner: 'root', group: nil, mode: 0o755)
    changed = !File.directory?(Package.path(path))
    FileUtils.mkdir_p(Package.path(path))
    changed = own(path, owner, group || owner, mode) || changed
    count("directory[#{path}] action create", changed)
  end

  def file(path, content, owner: 'root', group: 'root', mode: 0o644)
    real = Package.path(path)
    changed = !File.file?(real) || File.binread(real) != content.b
    if changed
      temporary = "#{path}.chef"
      File.open(Package.path(temporary), 'wb', 0o600) { |out| out.write(content) }
      own(temporary, owner, group, mode)
      File.rename(Package.path(temporary), real)
    end
    changed = own(path, owner, group, mode) || changed
    count("file[#{path}] action create", changed)
  end

  def delete(path)
    real = Package.path(path)
    changed = File.exist?(real) || File.symlink?(real)
    FileUtils.rm_f(real)
    count("file[#{path}] action delete", changed)
  end

  def link(path, target)
    real = Package.path(path)
    changed = !File.symlink?(real) || File.readlink(real) != target
    FileUtils.ln_s(target, real, force: true) if changed
    count("link[#{path}] action create", changed)
  end

  # A directory for `chpst -e`: one file for each variable, and no others.
  def env_dir(path, variables)
    raise 'env_dir: property variables must be a Hash' unless variables.is_a?(Hash)

    changed = directory(path)
    (Dir.children(Package.path(path)) - variables.keys).each { |name| changed |= delete(File.join(path, name)) }
    variables.each { |name, value| changed |= file(File.join(path, name), value.to_s) }
    changed
  end

  # Supervised by runit, and logged by svlogd. Returns whether its scripts changed.
  def enable_service(name, run:, log_directory:)
    sv = "/opt/gitlab/sv/#{name}"
    directory("#{sv}/log")
    changed = file("#{sv}/run", run, mode: 0o755)
    file("#{sv}/log/run", "#!/bin/sh\nexec svlogd -tt #{log_directory}\n", mode: 0o755)
    link("/opt/gitlab/init/#{name}", '/opt/gitlab/embedded/bin/sv')
    wait_for_supervision(name) if link("/opt/gitlab/service/#{name}", sv)
    changed
  end

  # Its supervisor goes at once, so that runsvdir cannot end it later, under a service that is back on.
  def disable_service(name)
    return unless delete("/opt/gitlab/service/#{name}")

    system('sv', 'shutdown', "/opt/gitlab/sv/#{name}", out: File::NULL)
  end

  # As Chef's runit_service: a service that does not restart within the time that gitlab-ctl gives sv (SVWAIT)
  # fails the run.
  def restart_service(name)
    said = sv(name, 'restart')
    raise "sv restart #{name} failed: #{said.strip}" unless said.start_with?('ok: run:')

    count("runit_service[#{name}] action restart", true)
  end

  # One that ends as soon as it has started fails no run.
  def restart_dying(name)
    sv(name, 'restart')
    count("runit_service[#{name}] action restart", true)
  end

  # The certificates that an authority on the internet would sign.
  def ask_letsencrypt(host)
    raise "letsencrypt_certificate had an error: Failed to open TCP connection to #{host}:443"
  end

  def service_up?(name)
    File.symlink?(Package.path("/opt/gitlab/service/#{name}")) && sv(name, 'status').start_with?('run:')
  end

  private

  def made?(find, name, command)
    Etc.public_send(find, name)
    false
  rescue ArgumentError
    system(*command, name, exception: true)
  end

  def count(what, changed)
    @total += 1
    @updated += 1 if changed
    puts "  * #{what}#{changed ? '' : ' (up to date)'}"
    changed
  end

  def own(path, owner, group, mode)
    uid = Etc.getpwnam(owner).uid
    gid = Etc.getgrnam(group).gid
    real = Package.path(path)
    stat = File.stat(real)
    return false if [stat.uid, stat.gid, stat.mode & 0o7777] == [uid, gid, mode]

    File.chown(uid, gid, real)
    File.chmod(mode, real)
    true
  end

  def sv(name, action)
    IO.popen(["/opt/gitlab/init/#{name}", action], err: %i[child out], &:read)
  end

  # runsvdir looks for new services every five seconds.
  def wait_for_supervision(name)
    100.times { sv(name, 'status').start_with?('run:') ? break : sleep(0.1) }
  end
end
