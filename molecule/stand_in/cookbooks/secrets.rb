# frozen_string_literal: true

require 'base64'
require 'json'
require 'securerandom'

# gitlab.rb, then gitlab-secrets.json, then a new one; the winner goes back into gitlab-secrets.json.
module Secrets
  PATH = '/etc/gitlab/gitlab-secrets.json'
  HEX = {
    'gitlab_workhorse' => %w[secret_token],
    'gitlab_shell' => %w[secret_token],
    'gitlab_rails' => %w[secret_key_base db_key_base otp_key_base]
  }.freeze

  module_function

  def kas_keys
    keys = { 'api_secret_key' => 32, 'private_api_secret_key' => 32 }
    keys['websocket_token_secret_key'] = 72 if Package.since?('17.7.0')
    keys
  end

  def settle
    read
    generate unless Gitlab['package']['generate_default_secrets'] == false
    kas_keys.each { |key, size| check(key, size) }
    write unless Gitlab['package']['generate_secrets_json_file'] == false
  end

  # Any setting can stand in the file, not only secrets.
  def read
    return unless File.exist?(Package.path(PATH))

    stored = JSON.parse(File.read(Package.path(PATH)))
    stored.each do |section, _|
      warn "Ignoring section #{section} in #{PATH}, does not exist in gitlab.rb" unless Gitlab[section]
    end
    Gitlab.configuration.select { |_, section| section }.keys.map(&:to_s).each do |section|
      values = stored[section]
      values.each { |key, value| take(section, key, value) } if values || stored.key?(section)
    end
  end

  def take(section, key, value)
    given = Gitlab[section][key]
    Gitlab[section][key] = value.is_a?(Hash) && Package.since?('18.4.0') ? value.merge(given || {}) : given || value
  end

  # KAS' text is hexadecimal digits, one byte for each.
  def generate
    HEX.each { |section, keys| keys.each { |key| Gitlab[section][key] ||= SecureRandom.hex(64) } }
    kas_keys.each do |key, size|
      Gitlab['gitlab_kas'][key] ||= Base64.strict_encode64(SecureRandom.hex(size / 2))
    end
  end

  # Checked even where KAS is off.
  def check(key, size)
    value = Gitlab['gitlab_kas'][key]
    return unless value && Base64.strict_decode64(value).length != size

    raise "gitlab_kas['#{key}'] should be exactly #{size} bytes"
  end

  def write
    known = HEX.merge('gitlab_kas' => kas_keys.keys)
    values = known.to_h { |section, keys| [section, keys.to_h { |key| [key, Gitlab[section][key]] }] }
    # Once it was on by itself, it stays so with the certificates that it brought.
    values['letsencrypt'] = { 'auto_enabled' => true } if Gitlab['letsencrypt']['auto_enabled']
    File.open(Package.path(PATH), 'w', 0o600) do |file|
      file.puts(JSON.pretty_generate(values))
      file.chmod(0o600)
    end
  end
end
