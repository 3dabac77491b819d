//go:build !race

package index

const mostDraws = "" // as many as rapid makes
