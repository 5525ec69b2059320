# frozen_string_literal: true

# gitlab.rb as the package reads it: Chef's own Mixlib::Config in strict mode, and sections that are
# Mashes (symbol and string keys alike) which come into being when they are first named.

require 'chef-utils/mash'
require 'mixlib/config'
require 'socket'
# What Chef itself has loaded, gitlab.rb may use without a word; and Chef reads every file as UTF-8.
require 'json'
require 'securerandom'
require 'uri'
require 'yaml'
Encoding.default_external = Encoding::UTF_8

module Gitlab
  extend Mixlib::Config

  # A section. While gitlab.rb is being read, a missing key reads as a new section.
  class ConfigMash < ChefUtils::Mash
    class << self
      attr_accessor :vivify
    end

    def [](key)
      self[key] = ConfigMash.new if ConfigMash.vivify && !key?(key)
      super
    end

    def convert_value(value)
      value.instance_of?(Hash) ? ConfigMash.new(value) : super
    end
  end

  # Unknown names raise while a file is being read. The end of a nested from_file switches both this and
  # the making of sections off for the rest of the outer file: so does the package.
  module Reading
    def from_file(path)
      config_strict_mode true
      ConfigMash.vivify = true
      super
    ensure
      ConfigMash.vivify = false
      config_strict_mode false
    end

    def internal_set(name, value)
      configuration.key?(name) ? configuration[name] = value : super
    end

    def internal_get(name)
      configuration.key?(name) ? configuration[name] : super
    end
  end
  extend Reading

  SECTIONS = %w[
    actioncable alertmanager bootstrap consul crond geo_logcursor geo_postgresql geo_secondary git_data_dirs
    gitaly gitlab_backup_cli gitlab_ci gitlab_exporter gitlab_kas gitlab_kas_nginx gitlab_pages gitlab_rails
    gitlab_shell gitlab_sshd gitlab_workhorse high_availability letsencrypt logging logrotate mailroom
    manage_accounts manage_storage_directories mattermost mattermost_nginx nginx node_exporter package
    pages_nginx patroni pgbouncer pgbouncer_exporter postgres_exporter postgresql praefect prometheus
    prometheus_monitoring puma redis redis_exporter registry registry_nginx remote_syslog repmgr repmgrd
    sentinel sidekiq spamcheck storage_check unicorn user web_server
  ].freeze
  # Sections that only some releases know: the first that does, and the first that does not any more.
  SECTIONS_BY_RELEASE = {
    'omnibus_gitconfig' => [nil, '18.2.0'],
    'suggested_reviewers' => [nil, '18.9.0'],
    'gitaly_client' => ['18.10.0', nil],
    'oak' => ['18.11.0', nil]
  }.freeze
  SCALARS = %w[
    external_url git_data_dir gitlab_kas_external_url mattermost_external_url pages_external_url
    registry_external_url roles runtime_dir
  ].freeze

  # The names that the installed release knows.
  def self.declare
    dated = SECTIONS_BY_RELEASE.select { |_, (from, to)| Package.between?(from, to) }.keys
    SCALARS.each { |name| public_send(name, nil) }
    (SECTIONS + dated + Roles.names.map { |role| "#{role}_role" }).each { |name| public_send(name, ConfigMash.new) }
    edition :ee
    node ChefUtils::Mash.new('hostname' => Socket.gethostname[/\A[^.]+/], 'fqdn' => Socket.gethostname)
  end
end

# What the recipes see: the package's defaults with the user's values over them, key by key.
module Attributes
  module_function

  def merge(defaults, section)
    deep_merge(defaults, plain(section))
  end

  # Without nil values: a nil cannot take a default away.
  def plain(value)
    return value unless value.is_a?(Hash)

    value.each_with_object({}) do |(key, item), hash|
      hash[key.is_a?(Symbol) ? key.to_s : key] = plain(item) unless item.nil?
    end
  end

  def deep_merge(base, over)
    base.merge(over) { |_, a, b| a.is_a?(Hash) && b.is_a?(Hash) ? deep_merge(a, b) : b }
  end
end
