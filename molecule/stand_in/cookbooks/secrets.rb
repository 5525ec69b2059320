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
    HEX.each { |section, keys| keys.each { |key| Gitlab[section][key] ||= SecureRandom.hex(64) } }
    kas_keys.each { |key, size| settle_kas(key, size) }
    write
  end

  def read
    return unless File.exist?(PATH)

    JSON.parse(File.read(PATH)).each do |section, values|
      if Gitlab[section]
        values.each { |key, value| Gitlab[section][key] ||= value }
      else
        warn "Ignoring section #{section} in #{PATH}, does not exist in gitlab.rb"
      end
    end
  end

  # Checked even where KAS is off. The text is hexadecimal digits, one byte for each.
  def settle_kas(key, size)
    value = (Gitlab['gitlab_kas'][key] ||= Base64.strict_encode64(SecureRandom.hex(size / 2)))
    return if Base64.strict_decode64(value).length == size

    raise "gitlab_kas['#{key}'] should be exactly #{size} bytes"
  end

  def write
    known = HEX.merge('gitlab_kas' => kas_keys.keys)
    values = known.to_h { |section, keys| [section, keys.to_h { |key| [key, Gitlab[section][key]] }] }
    File.open(PATH, 'w', 0o600) do |file|
      file.puts(JSON.pretty_generate(values))
      file.chmod(0o600)
    end
  end
end
