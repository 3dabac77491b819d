//go:build !race

package transfer_test

const mostDraws = "" // as many as rapid makes
