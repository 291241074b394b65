# shellcheck shell=bash
# Sourced by the scripts that start an API server: certificates and kubeconfigs in $dir, of one authority. Ends through
# the caller's `die`.

certificate() { # NAME SUBJECT EXTENSION...: NAME.key and NAME.crt, signed by ca (ca itself by itself)
  local name=$1 subject=$2 extension args=()
  shift 2
  printf '[req]\ndistinguished_name = dn\n[dn]\n' >"$dir/openssl.cnf"
  for extension; do args+=(-addext "$extension"); done
  [[ $name == ca ]] || args+=(-CA "$dir/ca.crt" -CAkey "$dir/ca.key" -addext basicConstraints=CA:FALSE)
  openssl req -x509 -config "$dir/openssl.cnf" -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 \
    -subj "$subject" "${args[@]}" -keyout "$dir/$name.key" -out "$dir/$name.crt" 2>>"$dir/openssl.log" ||
    die "openssl: $(tail -n 5 "$dir/openssl.log")"
}
serverCertificates() { # EXTRA_NAME: the authority, the API server's and etcd's certificates, the service account key
  local names=IP:127.0.0.1,IP:10.96.0.1,DNS:localhost name
  for name in kubernetes{,.default{,.svc{,.cluster.local}}}; do names+=,DNS:$name; done
  certificate ca /CN=cutline-test-ca basicConstraints=critical,CA:TRUE keyUsage=critical,keyCertSign,cRLSign
  certificate server /CN=kube-apiserver extendedKeyUsage=serverAuth "subjectAltName=$names${1:+,$1}"
  certificate etcd /CN=etcd extendedKeyUsage=serverAuth,clientAuth subjectAltName=IP:127.0.0.1
  openssl genrsa -out "$dir/sa.key" 2048 2>>"$dir/openssl.log"
}
clientCertificate() { # NAME SUBJECT
  certificate "$1" "$2" extendedKeyUsage=clientAuth
}
kubeconfig() { # NAME FILE SERVER: whoever holds FILE is NAME at the API server SERVER (HOST:PORT)
  cat >"$2" <<YAML
apiVersion: v1
kind: Config
clusters:
  - name: cutline-test
    cluster:
      server: https://$3
      certificate-authority-data: $(base64 -w 0 "$dir/ca.crt")
users:
  - name: $1
    user:
      client-certificate-data: $(base64 -w 0 "$dir/$1.crt")
      client-key-data: $(base64 -w 0 "$dir/$1.key")
contexts:
  - name: cutline-test
    context: { cluster: cutline-test, user: $1, namespace: default }
current-context: cutline-test
YAML
}
