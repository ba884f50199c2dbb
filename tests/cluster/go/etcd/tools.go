//go:build tools

// Package etcd names the command that the test cluster is built of.
package etcd

import _ "go.etcd.io/etcd/server/v3"
