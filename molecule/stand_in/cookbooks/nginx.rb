# frozen_string_literal: true

require 'erb'
require 'socket'
require 'uri'

# The package's nginx, with two of its virtual hosts: GitLab's, and KAS' own where agents connect to another host name.
module Nginx
  DIR = '/var/opt/gitlab/nginx'
  LOGS = '/var/log/gitlab/nginx'
  SSL = '/etc/gitlab/ssl'
  VHOST = File.read(File.join(__dir__, 'nginx-vhost.conf.erb'))
  DEFAULTS = { 'redirect_http_to_https' => false, 'redirect_http_to_https_port' => 80, 'listen_addresses' => ['*'] }.freeze

  class << self
    def enabled?
      Roles.enabled?('nginx')
    end

    # Since 19.2 each component has a section of its own for nginx, and the old ones lie below them.
    def sections_are_new?
      Package.since?('19.2.0')
    end

    # A setting of GitLab's virtual host; all that either section says, without a key.
    def rails
      below = Attributes.plain(Gitlab['nginx'])
      sections_are_new? ? below.merge(Attributes.plain(Gitlab['gitlab_rails']['nginx'] || {})) : below
    end

    def kas
      sections_are_new? ? (Gitlab['gitlab_kas']['nginx'] || {}) : Gitlab['gitlab_kas_nginx']
    end

    # What a certificate is called where nothing else says it.
    def pair(host)
      { 'ssl_certificate' => "#{SSL}/#{host}.crt", 'ssl_certificate_key' => "#{SSL}/#{host}.key" }
    end

    # A virtual host of its own for KAS, on the node that runs it.
    def derive_kas(url, gitlab)
      is_tls = url.scheme == 'wss'
      kas['host'] ||= url.host
      kas['port'] ||= is_tls ? '443' : '80'
      kas['enable'] = true
      kas['https'] ||= is_tls
      return unless is_tls

      pair(url.host).each { |key, path| kas[key] ||= path }
      Letsencrypt.add(url.host, gitlab)
    end

    # GitLab's virtual host, as far as the certificate goes; {} where there is none.
    def gitlab_vhost
      return {} unless (url = Gitlab['external_url'])

      url = URI(url)
      is_tls = url.scheme == 'https'
      vhost = { **DEFAULTS, **pair(Socket.gethostname), **(is_tls ? pair(url.host) : {}) }.merge(rails)
      vhost['https'] = vhost.fetch('listen_https', is_tls)
      vhost.merge('host' => url.host, 'port' => vhost['listen_port'] || Gitlab['gitlab_rails']['gitlab_port'] || url.port,
                  'path' => url.path.chomp('/'))
    end

    def converge(run)
      return run.disable_service('nginx') unless enabled?

      was_up = run.service_up?('nginx')
      run.account(Package.web_user, Package.web_user)
      [DIR, "#{DIR}/conf", "#{DIR}/conf/service_conf"].each { |path| run.directory(path, mode: 0o750) }
      run.directory(LOGS, mode: 0o700)
      changed = files(run)
      changed |= run.enable_service('nginx', run: script, log_directory: LOGS)
      run.restart_dying('nginx') if changed && was_up
    end

    private

    def files(run)
      vhosts = { 'rails' => rails_vhost, 'kas' => kas_vhost }
      changed = run.file("#{DIR}/conf/nginx.conf", conf)
      vhosts.reduce(changed) do |so_far, (name, text)|
        path = "#{DIR}/conf/service_conf/gitlab-#{name}.conf"
        (text ? run.file(path, text) : run.delete(path)) || so_far
      end
    end

    def rails_vhost
      own = sections_are_new? ? (Gitlab['gitlab_rails']['nginx'] || {})['enable'] : nil
      return if own == false || !Roles.enabled?('gitlab_rails') || gitlab_vhost.empty?

      vhost = gitlab_vhost
      agents = "#{vhost['path']}/-/kubernetes-agent/"
      locations = Kas.enabled? ? kas_locations("= #{agents}", "#{vhost['path']}/gitlab.agent.", "#{agents}k8s-proxy/") : {}
      vhost['redirect_http_to_https'] = true if Letsencrypt.enabled? && !rails.key?('redirect_http_to_https')
      is_default = Package.since?('18.8.0') && vhost['default_server_enabled'] != false
      render(vhost, { **locations, "#{vhost['path']}/" => 'proxy_pass http://gitlab-workhorse' }, is_default: is_default)
    end

    def kas_vhost
      return unless Kas.enabled? && kas['enable']

      vhost = { **DEFAULTS, 'https' => false, 'port' => 80, 'host' => 'kas.gitlab.example.com', **pair(Socket.gethostname) }
      vhost = vhost.merge(Attributes.plain(kas))
      vhost['https'] = vhost['listen_https'] if vhost.key?('listen_https')
      render(vhost, kas_locations('/', '/gitlab.agent.', '/k8s-proxy/'))
    end

    # The addresses of the listeners are put in as they stand.
    def kas_locations(agents, grpc, proxy)
      settings = Kas.send(:attributes)
      is_tls = Package.since?('18.7.0') && settings.values_at('certificate_file', 'key_file').all?
      scheme = is_tls ? 'https' : 'http'
      locations = { agents => "proxy_pass #{scheme}://#{settings['listen_address']}/" }
      locations[grpc] = "grpc_pass #{is_tls ? 'grpcs' : 'grpc'}://#{settings['listen_address']}" if Package.since?('18.7.0')
      locations.merge(proxy => "proxy_pass #{scheme}://#{settings['kubernetes_api_listen_address']}/; proxy_buffering off")
    end

    def render(vhost, locations, is_default: false)
      known = { vhost: vhost, name: vhost['host'], port: vhost['port'], locations: locations, is_default: is_default }
      ERB.new(VHOST, trim_mode: '-').result_with_hash(known)
    end

    # In the order in which they are included; which came first decided until 18.8 which one answers for an unknown name.
    def conf
      order = sections_are_new? ? %w[kas rails] : %w[rails kas]
      <<~CONF
        user #{Package.web_user} #{Package.web_user};
        worker_processes 1;
        error_log stderr;
        pid nginx.pid;
        daemon off;
        events { worker_connections 1024; }
        http {
          access_log off;
          map $http_upgrade $connection_upgrade { default upgrade; '' close; }
          upstream gitlab-workhorse { server unix:/var/opt/gitlab/gitlab-workhorse/sockets/socket; }
        #{order.map { |name| "  include service_conf/gitlab-#{name}[.]conf;\n" }.join}}
      CONF
    end

    def script
      <<~SH
        #!/bin/sh
        exec 2>&1
        cd #{DIR}
        exec chpst -P /opt/gitlab/embedded/sbin/nginx -p #{DIR}
      SH
    end
  end
end
