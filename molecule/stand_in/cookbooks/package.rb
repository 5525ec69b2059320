# frozen_string_literal: true

require 'json'

# The installed package: its paths, its version, its accounts, and what it refuses or complains of.
module Package
  MANIFEST = '/opt/gitlab/version-manifest.json'
  # Settings that end a run: in which release the package dropped them.
  REMOVED = {
    %w[omnibus_gitconfig] => '17.0.0',
    %w[git_data_dirs] => '18.0.0',
    %w[gitlab_shell migration] => '18.0.0',
    %w[mattermost] => '19.0.0',
    %w[spamcheck] => '19.0.0'
  }.freeze

  class << self
    # What stands before every path: nothing on a host, a directory in the tests.
    attr_accessor :root

    def path(path)
      "#{root}#{path}"
    end

    def version
      @version ||= Gem::Version.new(JSON.parse(File.read(path(MANIFEST)))['build_version'][/\A\d+\.\d+\.\d+/])
    end

    def since?(release)
      version >= Gem::Version.new(release)
    end

    # From one release on, up to but without another; nil is no bound.
    def between?(from, to)
      (from.nil? || since?(from)) && (to.nil? || !since?(to))
    end

    # The account that GitLab runs as.
    def user
      Gitlab['user']['username'] || 'git'
    end

    def group
      Gitlab['user']['group'] || 'git'
    end

    # The account that nginx runs as.
    def web_user
      Gitlab['web_server']['username'] || 'gitlab-www'
    end

    # What is told when the run ends.
    def deprecations
      @deprecations ||= []
    end

    def check_removed
      found = REMOVED.select { |keys, release| since?(release) && given?(keys) }.keys
      return if found.empty?

      found.each { |(section, *keys)| warn "* #{section}#{keys.map { |key| "['#{key}']" }.join} was removed." }
      raise 'Removed configurations found in gitlab.rb. Aborting reconfigure.'
    end

    private

    def given?(keys)
      value = keys.reduce(Gitlab.configuration.transform_keys(&:to_s)) { |hash, key| hash && hash[key] }
      ![nil, {}].include?(Attributes.plain(value))
    end
  end
  self.root = ''
end
