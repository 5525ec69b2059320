#!/bin/sh
# Put the stand-in where the GitLab Linux package has its parts. Runs while the image is built.
set -eu
cd "$(dirname "$0")"
embedded=/opt/gitlab/embedded

useradd --system --user-group --home-dir /var/opt/gitlab --shell /bin/sh --no-create-home git
useradd --system --user-group --home-dir /var/opt/gitlab/nginx --shell /bin/false --no-create-home gitlab-www
useradd --system --user-group --home-dir /var/opt/gitlab/redis --shell /bin/false --no-create-home gitlab-redis

mkdir -p $embedded/bin $embedded/cookbooks $embedded/lib $embedded/sbin $embedded/ssl/certs /opt/gitlab/bin /opt/gitlab/etc \
  /opt/gitlab/init /opt/gitlab/service /opt/gitlab/sv /var/log/gitlab /var/opt/gitlab
install -d -m 0775 /etc/gitlab
install -d -m 0755 /etc/gitlab/trusted-certs
install -m 0600 gitlab.rb.template /etc/gitlab/gitlab.rb
install -D -m 0644 gitlab.rb.template /opt/gitlab/etc/gitlab.rb.template

install -m 0644 cookbooks/* $embedded/cookbooks
install -d $embedded/lib/gitlab_kas
install -m 0644 gitlab_kas/*.py $embedded/lib/gitlab_kas
install -m 0755 gitlab-kas sv $embedded/bin
install -m 0755 nginx $embedded/sbin
ln -s /usr/bin/ruby /usr/bin/redis-server /usr/bin/redis-cli /usr/bin/chpst \
  /usr/bin/curl /usr/bin/python3 $embedded/bin
install -m 0755 gitlab-ctl /opt/gitlab/bin/gitlab-ctl
ln -s /opt/gitlab/bin/gitlab-ctl /usr/bin/gitlab-ctl
printf '{"software": {}, "build_version": "19.3.0"}\n' > /opt/gitlab/version-manifest.json

python3 -m compileall -q $embedded/lib/gitlab_kas
