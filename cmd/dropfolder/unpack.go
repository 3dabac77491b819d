package dropfolder

import (
	"context"
	"fmt"
	"os"

	"hayloft/checkout/gather"
)

// Unpack unpacks the zip archive into the empty folder dir, and gives the path of the .blend file in it that is meant: by
// name, the archive's own, where there are several. The archive is checked as one that is dropped into a watched folder:
// nothing is unpacked of one that is damaged, encrypted, too large, or that has paths that lead elsewhere. Limits that are
// zero have their defaults. An error about the archive is a sentence for the person who made it.
func Unpack(ctx context.Context, archive *os.File, name, dir string, limits Limits) (blend string, err error) {
	limits = limits.withDefaults()
	info, err := archive.Stat()
	if err != nil {
		return "", fmt.Errorf("unpack %s: %w", name, err)
	}
	members, err := inspect(archive, info.Size(), limits)
	if err != nil {
		return "", fmt.Errorf("unpack %s: %w", name, err)
	}
	if err := unpack(ctx, members, dir); err != nil {
		return "", fmt.Errorf("unpack %s: %w", name, err)
	}
	tree, err := gather.Walk(ctx, dir, gather.Options{MaxFiles: limits.Files})
	if err != nil {
		return "", fmt.Errorf("unpack %s: %w", name, err)
	}
	file, err := chooseBlend(tree.Files, stemOf(name, zipFile))
	if err != nil {
		return "", fmt.Errorf("unpack %s: %w", name, err)
	}
	return file.Source, nil
}
