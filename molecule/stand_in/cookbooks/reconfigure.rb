# frozen_string_literal: true

# `gitlab-ctl reconfigure`: read gitlab.rb, settle the secrets, derive what follows, write what differs.

require_relative 'settings'
require_relative 'package'
require_relative 'roles'
require_relative 'secrets'
require_relative 'resources'
require_relative 'certificates'
require_relative 'redis'
require_relative 'kas'
require_relative 'rails'
require_relative 'nginx'
require_relative 'letsencrypt'

module Reconfigure
  GITLAB_RB = '/etc/gitlab/gitlab.rb'
  LOGS = '/var/log/gitlab/reconfigure'
  LOCK = '/opt/gitlab/embedded/cookbooks/cache/chef-client-running.pid'
  NODES = '/opt/gitlab/embedded/nodes'
  # How long a run takes at least; a scenario may write another number of seconds.
  SECONDS = '/opt/gitlab/etc/reconfigure_seconds'

  module_function

  def main
    $stdout.sync = true
    exit locked { logged { converge } }
  end

  # A second run waits for the first.
  def locked
    FileUtils.mkdir_p(File.dirname(LOCK))
    File.open(LOCK, File::RDWR | File::CREAT, 0o600) do |file|
      unless file.flock(File::LOCK_EX | File::LOCK_NB)
        puts 'Chef Infra Client is running, will wait for it to finish and then run.'
        file.flock(File::LOCK_EX)
      end
      yield
    end
  end

  # What a run prints stands in a log of its own as well, named by the second in which it began.
  def logged
    FileUtils.mkdir_p(LOGS)
    stamp = Time.now.to_i
    stamp += 1 while File.exist?("#{LOGS}/#{stamp}.log")
    tee = IO.popen(['tee', "#{LOGS}/#{stamp}.log"], 'w')
    terminal = $stdout.dup
    $stdout.reopen(tee)
    yield
  ensure
    $stdout.reopen(terminal)
    tee.close
  end

  def converge
    run = Resources.new
    puts 'Starting Chef Infra Client, version 18.3.0'
    read
    puts "Converging #{Socket.gethostname}"
    sleep(File.exist?(SECONDS) ? Float(File.read(SECONDS)) : 0.3)
    apply(run)
    note
    puts '', 'Running handlers:', 'Running handlers complete', run.report
    puts '', 'Deprecations:', *Package.deprecations, '' if Package.deprecations.any?
    puts 'gitlab Reconfigured!'
    0
  rescue StandardError, SyntaxError => e
    complain(e)
    puts run.report('failed')
    1
  end

  # In the order of the package, which decides what is complained of first.
  def read
    Gitlab.declare
    Gitlab.from_file(Package.path(GITLAB_RB)) if File.exist?(Package.path(GITLAB_RB))
    Secrets.settle
    Roles.load
    [Rails, Letsencrypt, Redis, Kas].each(&:derive)
    Package.check_removed
  end

  def apply(run)
    run.account(Package.user, Package.group)
    [Certificates, Redis, Rails, Kas].each { |recipe| recipe.converge(run) }
    Letsencrypt.prepare(run)
    [Nginx, Letsencrypt].each { |recipe| recipe.converge(run) }
  end

  # What this run applied: a part for everybody, and the whole, secrets included, for root.
  def note
    enabled = %w[gitlab_rails gitlab_kas redis].to_h { |name| [name, { 'enable' => Roles.enabled?(name) }] }
    shown = { 'gitlab' => { 'external-url' => Gitlab['external_url'] } }.merge(enabled)
    File.write('/var/opt/gitlab/public_attributes.json', "#{JSON.generate(shown)}\n", perm: 0o644)
    applied = Gitlab.configuration.except(:node).to_h { |name, value| [name, Attributes.plain(value)] }
    FileUtils.mkdir_p(NODES, mode: 0o700)
    File.write("#{NODES}/#{Socket.gethostname}.json", JSON.pretty_generate('normal' => applied), perm: 0o600)
  end

  def complain(error)
    place = error.backtrace.to_a.grep(/gitlab\.rb:/).first
    puts '', "Recipe Compile Error: #{error.class}", *place, '', 'Running handlers:'
    red, plain = $stderr.tty? ? ["\e[31m", "\e[0m"] : ['', '']
    warn "#{red}There was an error running gitlab-ctl reconfigure:#{plain}", '', "#{red}#{error.message}#{plain}", ''
    puts 'Running handlers complete'
  end
end

Reconfigure.main if $PROGRAM_NAME == __FILE__
