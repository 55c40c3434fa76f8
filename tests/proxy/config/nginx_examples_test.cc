// What nginx's documentation gives as examples, as written there: it is taken as it stands, or refused by name. What
// the examples do is for tests/e2e: locations_test, shaping_test, error_page_test, balancing_test.
#include "tests/proxy/config/conf_fixture.h"

namespace entrepot::config {
namespace {

constexpr const char* kBackend = "upstream backend { server 127.0.0.1:1; }\n";

struct Example {
  const char* directive;  // the page's own anchor
  const char* http;       // what stands in http { }
  const char* server;     // what stands in its server { }
  const char* refusal = "";  // the message, where it is refused
};

std::ostream& operator<<(std::ostream& out, const Example& example) { return out << example.directive; }

class NginxExample : public ConfTest, public testing::WithParamInterface<Example> {};

TEST_P(NginxExample, IsTakenAsItStands) {
  const Example& example = GetParam();
  const std::string text =
      "http {\n" + std::string(example.http) + "\nserver {\n" + std::string(example.server) + "\n}\n}\n";
  EXPECT_EQ(message_of(text), *example.refusal ? example.refusal : "no error") << text;
}

// ngx_http_core_module
INSTANTIATE_TEST_SUITE_P(Core, NginxExample, testing::Values(
    Example{"alias", "", "location /i/ {\n    alias /data/w3/images/;\n}"},
    Example{"alias in an expression", "",
            "location ~ ^/users/(.+\\.(?:gif|jpe?g|png))$ {\n    alias /data/w3/images/$1;\n}"},
    Example{"client_max_body_size", "", "client_max_body_size 8m;"},
    Example{"error_page", "",
            "error_page 404             /404.html;\nerror_page 500 502 503 504 /50x.html;"},
    Example{"error_page, a status", "", "error_page 404 =200 /empty.gif;"},
    Example{"error_page, the page's own", "", "error_page 404 = /404.php;"},
    Example{"error_page, a named location", kBackend,
            "location / {\n    error_page 404 = @fallback;\n}\n\nlocation @fallback {\n    proxy_pass http://backend;\n}"},
    Example{"error_page, a URL", "",
            "error_page 403      http://example.com/forbidden.html;\nerror_page 404 =301 http://example.com/notfound.html;"},
    Example{"internal", "", "error_page 404 /404.html;\n\nlocation = /404.html {\n    internal;\n}"},
    Example{"location", "",
            "location = / {\n return 200 A;\n}\n\nlocation / {\n return 200 B;\n}\n\nlocation /documents/ {\n return 200 C;\n}\n"
            "\nlocation ^~ /images/ {\n return 200 D;\n}\n\nlocation ~* \\.(gif|jpg|jpeg)$ {\n return 200 E;\n}"},
    Example{"location without its slash", "",
            "location /user/ {\n    proxy_pass http://user.example.com;\n}\n\n"
            "location = /user {\n    proxy_pass http://login.example.com;\n}"},
    Example{"root", "", "location /i/ {\n    root /data/w3;\n}"},
    Example{"server_name", "", "server_name example.com www.example.com;"},
    Example{"server_name, wildcards", "", "server_name example.com *.example.com www.example.*;"},
    Example{"server_name, both", "", "server_name .example.com;"},
    Example{"server_name, an expression", "", "server_name www.example.com ~^www\\d+\\.example\\.com$;"},
    Example{"server_name, groups", "server { server_name _; location / { root /sites/default; } }",
            "server_name ~^(www\\.)?(.+)$;\n\nlocation / {\n    root /sites/$2;\n}"},
    Example{"server_name, named groups", "server { server_name _; location / { root /sites/default; } }",
            "server_name ~^(www\\.)?(?<domain>.+)$;\n\nlocation / {\n    root /sites/$domain;\n}"},
    Example{"server_name, none", "", "server_name www.example.com \"\";"}));

// ngx_http_proxy_module
INSTANTIATE_TEST_SUITE_P(Proxy, NginxExample, testing::Values(
    Example{"the module's", "",
            "location / {\n    proxy_pass       http://localhost:8000;\n    proxy_set_header Host      $host;\n"
            "    proxy_set_header X-Real-IP $remote_addr;\n}"},
    Example{"proxy_cache_bypass", "",
            "proxy_cache_bypass $cookie_nocache $arg_nocache$arg_comment;\nproxy_cache_bypass $http_pragma    $http_authorization;"},
    Example{"proxy_cache_key", "", "proxy_cache_key \"$host$request_uri $cookie_user\";"},
    Example{"proxy_cache_key, the usual", "", "proxy_cache_key $scheme$proxy_host$uri$is_args$args;"},
    Example{"proxy_cache_path", "proxy_cache_path /data/nginx/cache levels=1:2 keys_zone=one:10m;", ""},
    Example{"proxy_cache_valid", "", "proxy_cache_valid 200 302 10m;\nproxy_cache_valid 404      1m;"},
    Example{"proxy_cache_valid, a time alone", "", "proxy_cache_valid 5m;"},
    Example{"proxy_cache_valid, any", "",
            "proxy_cache_valid 200 302 10m;\nproxy_cache_valid 301      1h;\nproxy_cache_valid any      1m;"},
    Example{"proxy_no_cache", "",
            "proxy_no_cache $cookie_nocache $arg_nocache$arg_comment;\nproxy_no_cache $http_pragma    $http_authorization;"},
    Example{"proxy_pass", "", "location / { proxy_pass http://localhost:8000/uri/; }"},
    Example{"proxy_pass, a socket", "", "location / { proxy_pass http://unix:/tmp/backend.socket:/uri/; }"},
    Example{"proxy_pass, a URI", "", "location /name/ {\n    proxy_pass http://127.0.0.1/remote/;\n}"},
    Example{"proxy_pass, none", "", "location /some/path/ {\n    proxy_pass http://127.0.0.1;\n}"},
    Example{"proxy_pass, variables", "", "location /name/ {\n    proxy_pass http://127.0.0.1$request_uri;\n}"},
    Example{"proxy_pass, a host by variables", "", "location / { proxy_pass http://$host$uri; }",
            "variables in the host of \"proxy_pass\" are not supported"},
    Example{"proxy_redirect", "", "location / { proxy_pass http://upstream:8000/two/; proxy_redirect "
            "http://localhost:8000/two/ http://frontend/one/; }"},
    Example{"proxy_redirect, default", "",
            "location /one/ {\n    proxy_pass     http://upstream:port/two/;\n    proxy_redirect default;\n}",
            "invalid port in upstream \"upstream:port/two/\""},
    Example{"proxy_redirect, expressions", "",
            "proxy_redirect ~^(http://[^:]+):\\d+(/.+)$ $1$2;\nproxy_redirect ~*/user/([^/]+)/(.+)$      http://$1.example.com/$2;"},
    Example{"proxy_redirect, several", "",
            "proxy_redirect default;\nproxy_redirect http://localhost:8000/  /;\n"
            "proxy_redirect http://www.example.com/ /;"},
    Example{"proxy_set_header", "", "proxy_set_header Host       $proxy_host;\nproxy_set_header Connection close;"},
    Example{"proxy_set_header, the client's", "", "proxy_set_header Host       $http_host;"},
    Example{"proxy_set_header, with the port", "", "proxy_set_header Host       $host:$proxy_port;"},
    Example{"proxy_set_header, none", "", "proxy_set_header Accept-Encoding \"\";"}));

// ngx_http_upstream_module
INSTANTIATE_TEST_SUITE_P(Upstreams, NginxExample, testing::Values(
    Example{"the module's",
            "upstream backend {\n    server backend1.example.com       weight=5;\n    server backend2.example.com:8080;\n"
            "    server unix:/tmp/backend3;\n\n    server backup1.example.com:8080   backup;\n"
            "    server backup2.example.com:8080   backup;\n}",
            "location / {\n    proxy_pass http://backend;\n}"},
    Example{"server",
            "upstream backend {\n    server backend1.example.com weight=5;\n"
            "    server 127.0.0.1:8080       max_fails=3 fail_timeout=30s;\n    server unix:/tmp/backend3;\n\n"
            "    server backup1.example.com  backup;\n}", ""},
    Example{"ip_hash",
            "upstream backend {\n    ip_hash;\n\n    server backend1.example.com;\n    server backend2.example.com;\n"
            "    server backend3.example.com down;\n    server backend4.example.com;\n}", ""},
    Example{"keepalive",
            "upstream http_backend {\n    server 127.0.0.1:8080;\n\n    keepalive 16;\n}",
            "location /http/ {\n    proxy_pass http://http_backend;\n    proxy_http_version 1.1;\n"
            "    proxy_set_header Connection \"\";\n}"},
    Example{"random two",
            "upstream backend {\n    random two least_conn;\n    server backend1.example.com;\n"
            "    server backend2.example.com;\n}", ""},
    Example{"hash consistent",
            "upstream backend {\n    hash $request_uri consistent;\n    server backend1.example.com;\n"
            "    server backend2.example.com;\n}", ""}));

// ngx_http_ssl_module, ngx_http_realip_module
INSTANTIATE_TEST_SUITE_P(Connections, NginxExample, testing::Values(
    Example{"ssl", "",
            "listen              443 ssl;\nkeepalive_timeout   70;\n\nssl_protocols       TLSv1.2 TLSv1.3;\n"
            "ssl_certificate     /usr/local/nginx/conf/cert.pem;\nssl_certificate_key /usr/local/nginx/conf/cert.key;\n"
            "ssl_session_cache   shared:SSL:10m;\nssl_session_timeout 10m;"},
    Example{"ssl_certificate, of two kinds", "",
            "listen              443 ssl;\nserver_name         example.com;\n\n"
            "ssl_certificate     example.com.rsa.crt;\nssl_certificate_key example.com.rsa.key;\n\n"
            "ssl_certificate     example.com.ecdsa.crt;\nssl_certificate_key example.com.ecdsa.key;"},
    Example{"realip", "",
            "set_real_ip_from  192.168.1.0/24;\nset_real_ip_from  192.168.2.1;\nset_real_ip_from  2001:0db8::/32;\n"
            "real_ip_header    X-Forwarded-For;\nreal_ip_recursive on;"}));

}  // namespace
}  // namespace entrepot::config
