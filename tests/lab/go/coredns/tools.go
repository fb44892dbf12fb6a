//go:build tools

// Package tools pins the command that the lab builds: go.mod then keeps what it needs.
package tools

import _ "github.com/coredns/coredns"
