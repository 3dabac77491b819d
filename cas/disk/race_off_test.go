//go:build !race

package disk

const stepsApart = 1
