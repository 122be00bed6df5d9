// Go's ReverseProxy with x/oauth2: LISTEN URL TOKEN_URL CLIENT_ID CLIENT_SECRET CA_FILE
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"log"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
)

func main() {
	listen, upstream, tokenURL, id, secret, caFile := os.Args[1], os.Args[2], os.Args[3], os.Args[4], os.Args[5], os.Args[6]
	target, err := url.Parse(upstream)
	if err != nil {
		log.Fatal(err)
	}
	pem, err := os.ReadFile(caFile)
	if err != nil {
		log.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)

	// Both of the defaults would throw most of 256 connections away: 100 idle ones in all, two for each host.
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.TLSClientConfig = &tls.Config{RootCAs: roots}
	transport.ForceAttemptHTTP2 = false
	transport.MaxIdleConns, transport.MaxIdleConnsPerHost = 1024, 1024
	transport.DisableCompression = true
	transport.ResponseHeaderTimeout = 60 * time.Second

	credentials := clientcredentials.Config{
		ClientID: id, ClientSecret: secret, TokenURL: tokenURL, AuthStyle: oauth2.AuthStyleInHeader,
	}
	proxy := httputil.NewSingleHostReverseProxy(target)
	rewrite := proxy.Director
	proxy.Director = func(request *http.Request) {
		rewrite(request)
		request.Host = target.Host
	}
	proxy.Transport = &oauth2.Transport{Base: transport, Source: credentials.TokenSource(context.Background())}
	log.Fatal((&http.Server{Addr: listen, Handler: proxy, ReadHeaderTimeout: 60 * time.Second}).ListenAndServe())
}
