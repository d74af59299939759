package view

import (
	"fmt"
	"strings"
	"time"
)

// Duration writes a duration for people, in at most two units: 340ms, 4.2s, 42s, 3m05s,
// 5h20m, 3d4h. Negative ones are 0s.
func Duration(d time.Duration) string {
	switch seconds := d.Round(time.Second); {
	case d <= 0:
		return "0s"
	case d < time.Second:
		return fmt.Sprintf("%dms", d/time.Millisecond)
	case d < 9950*time.Millisecond:
		return strings.TrimSuffix(fmt.Sprintf("%.1f", d.Seconds()), ".0") + "s"
	case seconds < time.Minute:
		return fmt.Sprintf("%ds", seconds/time.Second)
	case seconds < time.Hour:
		return fmt.Sprintf("%dm%02ds", seconds/time.Minute, seconds%time.Minute/time.Second)
	case seconds < 48*time.Hour:
		return fmt.Sprintf("%dh%02dm", seconds/time.Hour, seconds%time.Hour/time.Minute)
	default:
		const day = 24 * time.Hour
		return fmt.Sprintf("%dd%dh", seconds/day, seconds%day/time.Hour)
	}
}
