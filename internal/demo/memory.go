package demo

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"time"
)

// A memoryWatch measures how much memory the demo and all its descendants hold
// together (VmRSS of proc(5): what processes share is counted for each), in bytes.
type memoryWatch struct{ most atomic.Int64 }

func watchMemory(ctx context.Context) *memoryWatch {
	m := &memoryWatch{}
	go func() {
		ticks := time.NewTicker(2 * time.Second)
		defer ticks.Stop()
		for {
			m.most.Store(max(m.most.Load(), resident(os.Getpid())))
			select {
			case <-ctx.Done():
				return
			case <-ticks.C:
			}
		}
	}()
	return m
}

// resident sums what a process and its descendants hold.
func resident(root int) int64 {
	parents, held := map[int]int{}, map[int]int64{}
	files, err := filepath.Glob("/proc/[0-9]*/status")
	if err != nil {
		return 0
	}
	for _, file := range files {
		status, err := os.ReadFile(file)
		if err != nil {
			continue // it has ended meanwhile
		}
		pid := int(number(status, "Pid:"))
		parents[pid], held[pid] = int(number(status, "PPid:")), number(status, "VmRSS:")*1024
	}
	var sum int64
	for pid := range parents {
		for at := pid; at > 1; at = parents[at] {
			if at == root {
				sum += held[pid]
				break
			}
		}
	}
	return sum
}

// number reads one field of a status file.
func number(status []byte, field string) int64 {
	for line := range bytes.Lines(status) {
		if rest, ok := bytes.CutPrefix(line, []byte(field)); ok {
			words := bytes.Fields(rest)
			if len(words) == 0 {
				return 0
			}
			n, err := strconv.ParseInt(string(words[0]), 10, 64)
			if err != nil {
				return 0
			}
			return n
		}
	}
	return 0
}
