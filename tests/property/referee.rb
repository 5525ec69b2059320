# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Evaluates a gitlab.rb as the Linux package does, and says what came out.
#
# The rules are those of mixlib-config (lib/mixlib/config.rb), of chef-utils (mash.rb) and of omnibus-gitlab
# (files/gitlab-cookbooks/package/libraries/{settings_dsl,config_mash,config/gitlab}.rb). This is the referee of
# the property tests: it must know nothing of the module that it judges.
#
# Request on stdin:  "SIZE PATH\n" and SIZE bytes of text, which is evaluated as if it stood in PATH.
# Answer on stdout:  "SIZE\n" and SIZE bytes of JSON, {"settings": …} or {"error": {"class", "message"}}.
# Every text is evaluated in a process of its own, so nothing that it defines, changes or ends reaches the next.
# What Chef itself has loaded by then, gitlab.rb may use without a word:
require 'json'
require 'securerandom'
require 'uri'
require 'yaml'

# Hash with indifferent access: keys are strings, symbols find them. As in Chef, `[]` itself converts nothing: a
# symbol finds its value through `default`.
class Mash < Hash
  def initialize(source = nil)
    super()
    update(source) if source
  end

  def initialize_copy(source)
    super
    each { |key, value| self[key] = value.dup if value.is_a?(Mash) || value.is_a?(Array) }
  end

  def default(key = nil)
    key.is_a?(Symbol) && key?(key) ? self[key.to_s] : super
  end

  alias plain_set []=

  def []=(key, value)
    plain_set(convert_key(key), convert_value(value))
  end

  def update(other)
    other.each_pair { |key, value| plain_set(convert_key(key), convert_value(value)) }
    self
  end
  alias merge! update

  def key?(key) = super(convert_key(key))
  alias include? key?
  alias has_key? key?
  alias member? key?

  def fetch(key, *others) = super(convert_key(key), *others)
  def values_at(*keys) = keys.map { |key| self[convert_key(key)] }
  def merge(other) = dup.update(other)
  def delete(key) = super(convert_key(key))
  def except(*keys) = super(*keys.map { |key| convert_key(key) })
  def symbolize_keys = to_h { |key, value| [key.to_sym, value] }
  def to_hash = {}.merge(self)

  protected

  def convert_key(key) = key.is_a?(Symbol) ? key.to_s : key

  def convert_value(value)
    case value
    when Array then value.map { |item| convert_value(item) }
    else value.instance_of?(Hash) ? Mash.new(value) : value
    end
  end
end

# What mixlib-config does for a module without declared options and contexts, which is all that gitlab.rb meets.
module Config
  UnknownConfigOptionError = Class.new(StandardError)

  def self.extended(base)
    base.singleton_class.attr_accessor :configuration
    base.configuration = {}
  end

  def from_file(path)
    instance_eval(File.expand_path(path) == ENTRY.path ? ENTRY.text : IO.read(path), path, 1)
  end

  def configure = yield(configuration)
  def [](name) = internal_get(name.to_sym)
  def []=(name, value)
    internal_set(name.to_sym, value)
  end
  def key?(name) = configuration.key?(name.to_sym)
  alias has_key? key?
  def keys = configuration.keys
  def delete(name) = configuration.delete(name)
  def to_hash = configuration.dup
  alias save to_hash
  alias hash_dup to_hash

  def merge!(other)
    configuration.merge!(other)
    self
  end

  def config_strict_mode(value = @strict)
    @strict = value
  end

  def method_missing(name, *arguments) # rubocop:disable Style/MissingRespondToMissing
    name = Regexp.last_match(1).to_sym if name.to_s =~ /(.+)=$/
    internal_get_or_set(name, *arguments)
  end

  private

  def internal_get_or_set(name, *arguments)
    internal_set(name, arguments.size == 1 ? arguments.first : arguments) unless arguments.empty?
    internal_get(name)
  end

  def internal_set(name, value)
    raise UnknownConfigOptionError, "Cannot set unsupported config value #{name}." if @strict

    configuration[name] = value
  end

  def internal_get(name)
    raise UnknownConfigOptionError, "Reading unsupported config value #{name}." if @strict

    configuration[name]
  end
end

# Strict for names that are not registered, only while a file is read; so is the making of missing hashes. The end
# of a nested from_file switches both off for the rest of the outer file.
module SettingsDSL
  def from_file(_path)
    config_strict_mode true
    Gitlab::ConfigMash.auto_vivify { super }
  ensure
    config_strict_mode false
  end

  def internal_set(name, value)
    configuration.key?(name) ? configuration[name] = value : super
  end

  def internal_get(name)
    configuration.key?(name) ? configuration[name] : super
  end
end

module Gitlab
  class ConfigMash < Mash
    def self.auto_vivify
      @auto_vivify = true
      yield
    ensure
      @auto_vivify = false
    end

    def self.auto_vivify? = @auto_vivify || false

    def [](key)
      value = super
      return value if !ConfigMash.auto_vivify? || key?(key)

      self[key] = self.class.new
    end

    def convert_value(value)
      return value if value.instance_of?(ConfigMash)

      value.instance_of?(Hash) ? ConfigMash.new(value) : super
    end
  end

  extend Config
  extend SettingsDSL

  SECTIONS = %w[
    alertmanager application_role bootstrap consul consul_role crond geo_logcursor geo_postgresql
    geo_primary_role geo_secondary geo_secondary_role git_data_dirs gitaly gitlab_ci gitlab_exporter gitlab_kas
    gitlab_kas_nginx gitlab_monitor gitlab_pages gitlab_rails gitlab_shell gitlab_sshd gitlab_workhorse
    high_availability letsencrypt logging logrotate mailroom manage_accounts manage_storage_directories
    mattermost mattermost_nginx monitoring_role nginx node_exporter omnibus_gitconfig package pages_nginx
    pages_role patroni patroni_role pgbouncer pgbouncer_exporter pgbouncer_role postgres_exporter postgres_role
    postgresql praefect prometheus prometheus_monitoring puma redis redis_exporter redis_master_role
    redis_replica_role redis_sentinel_role registry registry_nginx remote_syslog repmgr repmgrd sentinel
    sidekiq sidekiq_cluster sidekiq_role spamcheck spamcheck_role storage_check suggested_reviewers user
    web_server
  ].freeze
  SCALARS = %w[
    external_url registry_external_url mattermost_external_url pages_external_url gitlab_kas_external_url
    runtime_dir git_data_dir roles
  ].freeze

  SECTIONS.each { |name| configuration[name.to_sym] = ConfigMash.new }
  SCALARS.each { |name| configuration[name.to_sym] = nil }
  configuration[:edition] = :ce
  configuration[:node] = Mash.new('fqdn' => 'gitlab.example.com', 'ipaddress' => '192.0.2.1')
end

# A value as JSON in which every Ruby type is told apart. Keys of hashes carry their type, too.
module Typed
  DEPTH = 50

  def self.dump(value, depth = 0)
    return { o: 'too deep' } if depth > DEPTH

    case value
    when nil, true, false then value
    when Integer then { i: value.to_s }
    when Float then { f: [value].pack('G').unpack1('H*') }
    when String then string(value)
    when Symbol then { y: value.to_s }
    when Array then { a: value.map { |item| dump(item, depth + 1) } }
    when Hash then { hash_tag(value) => pairs(value, depth) }
    when Regexp, Range, Rational, Complex then { o: value.inspect }
    else { o: value.class.name }
    end
  end

  def self.string(value)
    text = value.dup.force_encoding(Encoding::UTF_8)
    fits = [Encoding::UTF_8, Encoding::US_ASCII].include?(value.encoding) || value.ascii_only?
    fits && text.valid_encoding? ? { s: text } : { b: "#{value.encoding}:#{value.unpack1('H*')}" }
  end

  def self.hash_tag(value)
    case value
    when Gitlab::ConfigMash then :config_mash
    when Mash then :mash
    else :hash
    end
  end

  def self.pairs(value, depth)
    value.to_a.to_h { |key, item| [key_text(dump(key, depth + 1)), dump(item, depth + 1)] }
  end

  def self.key_text(key)
    key.is_a?(Hash) && key.key?(:s) ? "s:#{key[:s]}" : JSON.generate(key)
  end
end

Entry = Struct.new(:path, :text)
TIMEOUT_S = 10

def evaluate(path, text)
  Object.const_set(:ENTRY, Entry.new(path, text))
  Dir.chdir(File.dirname(path))
  Gitlab.from_file(path)
  settings = Gitlab.configuration.reject { |name, _| name == :node }
  { settings: settings.to_h { |name, value| [name.to_s, Typed.dump(value)] } }
rescue Exception => e # rubocop:disable Lint/RescueException
  { error: { class: e.class.name, message: e.message.dup.force_encoding(Encoding::UTF_8).scrub } }
end

def in_own_process(path, text)
  reader, writer = IO.pipe(binmode: true)
  child = fork do
    reader.close
    [$stdin, $stdout, $stderr].each { |stream| stream.reopen(File::NULL, 'r+') }
    answer = evaluate(path, text)
    writer.write(JSON.generate(answer, max_nesting: 0))
    writer.close
    exit!
  end
  writer.close
  answer = +''
  deadline = Process.clock_gettime(Process::CLOCK_MONOTONIC) + TIMEOUT_S
  while answer
    left = deadline - Process.clock_gettime(Process::CLOCK_MONOTONIC)
    unless left.positive? && reader.wait_readable(left)
      Process.kill(:KILL, child)
      answer = nil
      break
    end
    chunk = reader.read_nonblock(65_536, exception: false)
    break if chunk.nil?

    answer << chunk unless chunk == :wait_readable
  end
  reader.close
  Process.wait(child)
  answer = nil if answer && answer.empty?
  answer || JSON.generate({ error: { class: 'NoAnswer', message: 'the evaluation did not come to an end' } })
end

if $PROGRAM_NAME == __FILE__
  require 'io/wait'
  Encoding.default_external = Encoding::UTF_8
  $VERBOSE = nil
  $stdin.binmode
  $stdout.binmode
  while (header = $stdin.gets)
    size, path = header.chomp.split(' ', 2)
    text = $stdin.read(size.to_i).force_encoding(Encoding::UTF_8)
    answer = in_own_process(path.force_encoding(Encoding::UTF_8), text)
    $stdout.write("#{answer.bytesize}\n", answer)
    $stdout.flush
  end
end
