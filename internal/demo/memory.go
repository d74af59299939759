package demo

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"time"
)

// A memoryWatch measures how much memory the demo and all its descendants hold
// together, in bytes: the sum of their proportional set sizes (Pss of
// proc_pid_smaps(5)), in which a page that n processes share counts 1/n for each.
type memoryWatch struct{ most atomic.Int64 }

func watchMemory(ctx context.Context) *memoryWatch {
	m := &memoryWatch{}
	go func() {
		ticks := time.NewTicker(2 * time.Second)
		defer ticks.Stop()
		for {
			m.most.Store(max(m.most.Load(), held(os.Getpid())))
			select {
			case <-ctx.Done():
				return
			case <-ticks.C:
			}
		}
	}()
	return m
}

// held sums what a process and its descendants hold.
func held(root int) int64 {
	parents := map[int]int{}
	files, err := filepath.Glob("/proc/[0-9]*/status")
	if err != nil {
		return 0
	}
	for _, file := range files {
		status, err := os.ReadFile(file)
		if err != nil {
			continue // it has ended meanwhile
		}
		parents[int(number(status, "Pid:"))] = int(number(status, "PPid:"))
	}
	var sum int64
	for pid := range parents {
		for at := pid; at > 1; at = parents[at] {
			if at == root {
				sum += proportional(pid)
				break
			}
		}
	}
	return sum
}

// proportional is one process's share of the memory that it uses; 0 if it has ended.
func proportional(pid int) int64 {
	rollup, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		return 0
	}
	return number(rollup, "Pss:") * 1024
}

// number reads one field of a file in which each line is a name and a value.
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
