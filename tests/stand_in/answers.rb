# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# What the stand-in's configuration part makes of gitlab.rb files, in the form of tests/data/package-answers.json.
#
# Request on stdin:  JSON, a list of {release, gitlab_rb} with, where there are, `before` (a gitlab.rb that was
#                    configured first), `include` (a file, {inc} in gitlab_rb) and `secrets_json`.
# Answer on stdout:  JSON, the list of answers.
# Every case has a process and a root directory of its own. Owners are noted, not set.

require 'date'
require 'tmpdir'
require_relative '../../molecule/stand_in/cookbooks/reconfigure'

HOST = 'node1.gitlab.example.com'
Socket.define_singleton_method(:gethostname) { HOST }

# The resources without accounts, supervision and ownership: a path's owner, group and mode are remembered.
class Noted < Resources
  attr_reader :modes

  def initialize
    super
    @modes = {}
  end

  def account(*) = nil
  def service_up?(_name) = false
  def wait_for_supervision(_name) = nil

  def own(path, owner, group, mode)
    modes[path] = format('%s %s %04o', owner, group, mode)
    false
  end
end

class Case
  def initialize(given, root)
    @given = given
    Package.root = root
    %w[init service].each { |name| FileUtils.mkdir_p(Package.path("/opt/gitlab/#{name}")) }
    write(Package::MANIFEST, JSON.generate('build_version' => given['release']))
    write('/etc/gitlab/include.rb', given['include']) if given['include']
    write(Secrets::PATH, text(given['secrets_json'])) if given['secrets_json']
  end

  def answer
    configure(@given['before']) if @given['before']
    run = configure(@given['gitlab_rb'])
  rescue StandardError, SyntaxError => e
    { 'fails' => e.message[/\A.*/].gsub(Package.path('/etc/gitlab/'), '') }
  else
    observe(run).compact
  end

  private

  def configure(gitlab_rb)
    write(Reconfigure::GITLAB_RB, gitlab_rb.gsub('{inc}', Package.path('/etc/gitlab/include.rb')))
    Reconfigure.read
    Noted.new.tap { |run| Reconfigure.apply(run) }
  end

  def observe(run)
    on = { 'enabled' => 'gitlab_kas', 'rails' => 'gitlab_rails' }
    on.transform_values! { |service| Roles.enabled?(service) ? true : false }
    on.merge(secrets, on['rails'] ? rails : {}, on['enabled'] ? kas(run) : {})
  end

  def kas(run)
    settings = Kas.send(:attributes)
    dir = settings['dir']
    files = Dir.children(Package.path(dir)) - ['VERSION']
    paths = [dir, settings['log_directory'], '/opt/gitlab/etc/gitlab-kas'] + files.map { |name| "#{dir}/#{name}" }
    env = settings['env_directory']
    config(read("#{dir}/gitlab-kas-config.yml"))
      .merge(Dir.children(Package.path(env)).to_h { |name| ["env.#{name}", read("#{env}/#{name}")] })
      .merge((files - ['gitlab-kas-config.yml']).to_h { |name| ["file.#{name}", secret(read("#{dir}/#{name}"))] })
      .merge(paths.to_h { |path| ["mode #{path}", run.modes[path]] })
      .merge('run' => read('/opt/gitlab/sv/gitlab-kas/run')[/exec chpst (.*)/m, 1].gsub(/[\\\s]+/, ' ').strip)
  end

  def config(text)
    flat('config', YAML.safe_load(text, permitted_classes: [Symbol, Date, Time]))
  rescue Psych::SyntaxError
    { 'config' => '(not YAML)' }
  end

  def rails
    told = YAML.safe_load(read("#{Rails::ETC}/gitlab.yml"))
    token = "#{Rails::ETC}/gitlab_kas_secret"
    flat('rails', told['production']['gitlab_kas'])
      .merge('rails secret' => File.exist?(Package.path(token)) ? secret(read(token)) : nil)
  end

  def secrets
    return { 'secrets.json' => false } unless File.exist?(Package.path(Secrets::PATH))

    kept = JSON.parse(read(Secrets::PATH))['gitlab_kas'] || {}
    { 'secrets.json' => true }.merge(kept.to_h { |key, value| ["secrets.json.#{key}", secret(value)] })
  end

  # A secret that stands in nothing that was given was made.
  def secret(value)
    return value if value.nil? || value.empty? || JSON.generate(@given).include?(JSON.generate(value)[1..-2])

    "(new, #{Base64.strict_decode64(value).length} bytes)"
  end

  def flat(name, value)
    # Only Ruby makes a symbol of `:9000`.
    return { name => value.is_a?(Symbol) ? ":#{value}" : value } unless value.is_a?(Hash)

    value.reduce({}) { |all, (key, item)| all.merge(flat("#{name}.#{key}", item)) }
  end

  def write(path, content)
    FileUtils.mkdir_p(File.dirname(Package.path(path)))
    File.write(Package.path(path), content)
  end

  def read(path) = File.read(Package.path(path))
  def text(value) = value.is_a?(String) ? value : JSON.generate(value)
end

def in_own_process(given)
  reader, writer = IO.pipe
  child = fork do
    $stdout.reopen(File::NULL)
    $stderr.reopen(File::NULL)
    Dir.mktmpdir { |root| writer.write(JSON.generate(Case.new(given, root).answer)) }
    writer.close
    exit!
  end
  writer.close
  JSON.parse(reader.read)
ensure
  Process.wait(child)
end

puts JSON.generate(JSON.parse($stdin.read).map { |given| in_own_process(given) })
