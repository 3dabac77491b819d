package main

import (
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"os"
	"strconv"

	scaling "golang.org/x/image/draw"
	"golang.org/x/image/font"
	"golang.org/x/image/font/basicfont"
	"golang.org/x/image/math/fixed"
)

// Sizes of a contact sheet, in pixels.
const (
	sheetColumns = 6
	cellWidth    = 240
	cellHeight   = 135
	cellGap      = 10
	labelHeight  = 16
)

var (
	sheetGround = color.RGBA{R: 24, G: 24, B: 27, A: 255}
	sheetInk    = color.RGBA{R: 228, G: 228, B: 231, A: 255}
)

// contactSheet lays the frames out in rows, in the order given, each with its number below it.
func contactSheet(frames []frame) *image.RGBA {
	rows := (len(frames) + sheetColumns - 1) / sheetColumns
	sheet := image.NewRGBA(image.Rect(0, 0,
		sheetColumns*(cellWidth+cellGap)+cellGap, rows*(cellHeight+labelHeight+cellGap)+cellGap))
	draw.Draw(sheet, sheet.Bounds(), image.NewUniform(sheetGround), image.Point{}, draw.Src)
	for i, f := range frames {
		left := cellGap + i%sheetColumns*(cellWidth+cellGap)
		top := cellGap + i/sheetColumns*(cellHeight+labelHeight+cellGap)
		cell := image.Rect(left, top, left+cellWidth, top+cellHeight)
		scaling.CatmullRom.Scale(sheet, fit(f.picture.Bounds(), cell), f.picture, f.picture.Bounds(), draw.Over, nil)
		pen := font.Drawer{Dst: sheet, Src: image.NewUniform(sheetInk), Face: basicfont.Face7x13,
			Dot: fixed.P(left, top+cellHeight+labelHeight-3)}
		pen.DrawString(strconv.Itoa(f.number))
	}
	return sheet
}

// fit is the largest rectangle with the shape of a picture that lies in the middle of a cell.
func fit(picture, cell image.Rectangle) image.Rectangle {
	width, height := cell.Dx(), picture.Dy()*cell.Dx()/picture.Dx()
	if height > cell.Dy() {
		width, height = picture.Dx()*cell.Dy()/picture.Dy(), cell.Dy()
	}
	corner := cell.Min.Add(image.Pt((cell.Dx()-width)/2, (cell.Dy()-height)/2))
	return image.Rectangle{Min: corner, Max: corner.Add(image.Pt(width, height))}
}

// writeSheet writes the contact sheet of the frames as a PNG.
func writeSheet(path string, frames []frame) error {
	file, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("writing the contact sheet: %w", err)
	}
	err = png.Encode(file, contactSheet(frames))
	if err := errors.Join(err, file.Close()); err != nil {
		return fmt.Errorf("writing the contact sheet: %w", err)
	}
	return nil
}
