# frozen_string_literal: true

require 'socket'
require 'uri'

# Let's Encrypt: when it is on without being asked for, and what is there until it answers.
module Letsencrypt
  HOST = 'acme-staging-v02.api.letsencrypt.org'
  # A scenario whose hosts have it answered writes this file.
  ANSWERS = '/opt/gitlab/etc/letsencrypt_answers'

  class << self
    def enabled?
      Gitlab['letsencrypt']['enable'] && Nginx.enabled?
    end

    def derive
      section = Gitlab['letsencrypt']
      return unless section['enable'].nil?

      is_wanted = wanted?
      return if is_wanted && Gitlab['package']['generate_secrets_json_file'] == false

      section['enable'] = is_wanted
      section['auto_enabled'] = is_wanted
    end

    # One more name in GitLab's certificate, and that certificate for its virtual host, unless it has one.
    def add(host, gitlab)
      kas = Nginx.kas
      return if !Gitlab['letsencrypt']['enable'] || File.exist?(Package.path(kas['ssl_certificate']))

      Gitlab['letsencrypt']['alt_names'] = (Gitlab['letsencrypt']['alt_names'] || [gitlab.host]) + [host]
      Nginx.pair(gitlab.host).each { |key, path| kas[key] = path }
      kas['redirect_http_to_https'] = true unless kas.key?('redirect_http_to_https')
    end

    # One that GitLab's nginx can start with, before it starts.
    def prepare(run)
      vhost = Nginx.gitlab_vhost
      return if !enabled? || File.exist?(Package.path(vhost['ssl_certificate']))

      certificate, key = self_signed(vhost['host'], Gitlab['letsencrypt']['alt_names'] || [vhost['host']])
      run.directory(File.dirname(vhost['ssl_certificate']))
      run.file(vhost['ssl_certificate'], certificate)
      run.file(vhost['ssl_certificate_key'], key, mode: 0o400)
    end

    # The authority must reach this node, and this node it.
    def converge(run)
      return unless enabled?

      run.ask_letsencrypt(HOST) if run.service_up?('nginx') && !File.exist?(Package.path(ANSWERS))
      Secrets.write if Gitlab['letsencrypt']['auto_enabled']
    end

    private

    def wanted?
      vhost = Nginx.gitlab_vhost
      return false unless vhost.any? && URI(Gitlab['external_url']).scheme == 'https' && Nginx.enabled? && vhost['https']

      Gitlab['letsencrypt']['auto_enabled'] ||
        vhost.values_at('ssl_certificate', 'ssl_certificate_key').none? { |path| File.exist?(Package.path(path)) }
    end

    def self_signed(host, names)
      key = OpenSSL::PKey::RSA.new(2048)
      certificate = OpenSSL::X509::Certificate.new
      certificate.version = 2
      certificate.serial = 1
      certificate.subject = certificate.issuer = OpenSSL::X509::Name.new([['CN', host]])
      certificate.public_key = key.public_key
      certificate.not_before = Time.now
      certificate.not_after = Time.now + (30 * 86_400)
      names = names.map { |name| "DNS:#{name}" }.join(',')
      certificate.add_extension(OpenSSL::X509::ExtensionFactory.new.create_extension('subjectAltName', names))
      [certificate.sign(key, OpenSSL::Digest.new('SHA256')).to_pem, key.to_pem]
    end
  end
end
