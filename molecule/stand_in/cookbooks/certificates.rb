# frozen_string_literal: true

require 'openssl'

# The certificates that an administrator trusts, linked into the directory that every service reads.
module Certificates
  TRUSTED = '/etc/gitlab/trusted-certs'
  STORE = '/opt/gitlab/embedded/ssl/certs'

  module_function

  def converge(run)
    run.directory(TRUSTED)
    run.directory(STORE)
    wanted = entries(TRUSTED, :file?).to_h { |path| [link_name(path), path] }
    stale = entries(STORE, :symlink?).reject { |path| wanted.key?(File.basename(path)) }
    stale.each { |path| run.delete(path) }
    wanted.each { |name, path| run.link("#{STORE}/#{name}", path) }
  end

  def entries(directory, kind)
    names = Dir.children(Package.path(directory)).sort.reject { |name| name.start_with?('.') }
    names.map { |name| "#{directory}/#{name}" }.select { |path| File.public_send(kind, Package.path(path)) }
  end

  def link_name(path)
    certificate = OpenSSL::X509::Certificate.new(File.read(Package.path(path)))
    format('%08x.0', certificate.subject.hash)
  rescue OpenSSL::X509::CertificateError
    raise "ERROR: Not a certificate: #{path} -> #{File.realpath(Package.path(path))}"
  end
end
