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
    wanted = Dir.glob("#{TRUSTED}/*").select { |path| File.file?(path) }.to_h { |path| [link_name(path), path] }
    stale = Dir.glob("#{STORE}/*").select { |path| File.symlink?(path) && !wanted.key?(File.basename(path)) }
    stale.each { |path| run.delete(path) }
    wanted.each { |name, path| run.link("#{STORE}/#{name}", path) }
  end

  def link_name(path)
    certificate = OpenSSL::X509::Certificate.new(File.read(path))
    format('%08x.0', certificate.subject.hash)
  rescue OpenSSL::X509::CertificateError
    raise "ERROR: Not a certificate: #{path} -> #{File.realpath(path)}"
  end
end
