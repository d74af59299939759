package dns

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/miekg/dns"
)

// compactAfter is how many changes a journal holds before the zone is written
// out whole. At about 200 bytes a change, reading that many takes milliseconds.
const compactAfter = 5000

// A journal keeps one copy of a zone on disk: ID.zone, a master file, and
// ID.journal, the changes since. A change is on disk before it is acknowledged,
// so that no kill loses one.
type journal struct {
	base string
	file *os.File
	held int
}

// An entry is one line of the journal: the whole content of each set that an
// update changed, so that replaying it twice does no harm.
type entry struct {
	Number uint64     `json:"number"`
	Sets   []entrySet `json:"sets"`
}

type entrySet struct {
	Name    string   `json:"name"`
	Type    string   `json:"type"`
	Records []string `json:"records,omitempty"`
}

// openJournal returns the zone as an earlier run left it, or first if there was
// none.
func openJournal(dir, id string, first *version) (*journal, *version, error) {
	j := &journal{base: filepath.Join(dir, id)}
	now, err := j.snapshot(first)
	if err != nil {
		return nil, nil, err
	}
	now, err = j.replay(now)
	if err != nil {
		return nil, nil, err
	}
	if err := j.compact(now); err != nil {
		return nil, nil, err
	}
	return j, now, nil
}

// snapshot reads ID.zone. Its first line carries the version's number.
func (j *journal) snapshot(first *version) (*version, error) {
	data, err := os.ReadFile(j.base + ".zone")
	if errors.Is(err, fs.ErrNotExist) {
		return first, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read zone: %w", err)
	}
	line, _, _ := strings.Cut(string(data), "\n")
	number, err := strconv.ParseUint(strings.TrimPrefix(line, "; version "), 10, 64)
	if err != nil {
		return nil, fmt.Errorf("zone %s.zone: first line: %w", j.base, err)
	}
	v, err := parseZone(first.apex, string(data))
	if err != nil {
		return nil, fmt.Errorf("zone %s.zone: %w", j.base, err)
	}
	v.number = number
	return v, nil
}

// replay applies the journal's entries to v. The last line may be torn: it was
// never acknowledged, and is dropped. Damage before it is an error.
func (j *journal) replay(v *version) (*version, error) {
	data, err := os.ReadFile(j.base + ".journal")
	if errors.Is(err, fs.ErrNotExist) {
		return v, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read journal: %w", err)
	}
	number := v.number
	e := v.edit()
	for line := 1; len(data) > 0; line++ {
		text, rest, whole := bytes.Cut(data, []byte("\n"))
		change, err := decodeEntry(text)
		if err != nil {
			if !whole {
				break
			}
			return nil, fmt.Errorf("journal %s.journal: line %d: %w", j.base, line, err)
		}
		data = rest
		if change.Number <= number {
			continue // the snapshot was written after this change
		}
		number = change.Number
		if err := change.replay(e); err != nil {
			return nil, fmt.Errorf("journal %s.journal: line %d: %w", j.base, line, err)
		}
	}
	return e.version(number), nil
}

// record makes the changed sets of v durable. If it fails, the update must be
// refused.
func (j *journal) record(v *version, changed []setKey) error {
	change := entry{Number: v.number}
	for _, key := range changed {
		set := entrySet{Name: key.name, Type: dns.Type(key.rrtype).String()}
		for _, rr := range v.set(key.name, key.rrtype) {
			set.Records = append(set.Records, rr.String())
		}
		change.Sets = append(change.Sets, set)
	}
	line, err := encodeEntry(change)
	if err != nil {
		return err
	}
	if j.held >= compactAfter {
		// v goes out with the snapshot, and needs no line of its own.
		return j.compact(v)
	}
	_, err = j.file.Write(line)
	if err == nil {
		err = j.file.Sync()
	}
	if err != nil {
		// Part of the line may be there: the next change must not be written behind it.
		j.held = compactAfter
		return fmt.Errorf("write journal: %w", err)
	}
	j.held++
	return nil
}

// compact writes v whole and begins an empty journal. Killed between the two, the
// old journal's entries are known by their numbers, and skipped.
func (j *journal) compact(v *version) error {
	err := replaceFile(j.base+".zone", func(w io.Writer) error {
		if _, err := fmt.Fprintf(w, "; version %d\n", v.number); err != nil {
			return err
		}
		for _, rr := range v.records() {
			if _, err := fmt.Fprintln(w, rr); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("write zone: %w", err)
	}
	file, err := os.OpenFile(j.base+".journal", os.O_CREATE|os.O_TRUNC|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("begin journal: %w", err)
	}
	if j.file != nil {
		j.file.Close()
	}
	j.file, j.held = file, 0
	return nil
}

func (j *journal) close() error { return j.file.Close() }

// encodeEntry writes a line: checksum, space, JSON.
func encodeEntry(change entry) ([]byte, error) {
	body, err := json.Marshal(change)
	if err != nil {
		return nil, err
	}
	return fmt.Appendf(nil, "%08x %s\n", crc32.ChecksumIEEE(body), body), nil
}

func decodeEntry(line []byte) (entry, error) {
	sum, body, _ := bytes.Cut(line, []byte(" "))
	if string(sum) != fmt.Sprintf("%08x", crc32.ChecksumIEEE(body)) {
		return entry{}, errors.New("checksum does not match")
	}
	var change entry
	return change, json.Unmarshal(body, &change)
}

func (c entry) replay(e *edit) error {
	for _, set := range c.Sets {
		var rrs []dns.RR
		for _, text := range set.Records {
			rr, err := dns.NewRR(text)
			if err != nil {
				return err
			}
			rrs = append(rrs, rr)
		}
		rrtype, err := typeNumber(set.Type)
		if err != nil {
			return err
		}
		e.put(set.Name, rrtype, rrs)
	}
	return nil
}

// typeNumber is the way back from dns.Type.String, which writes TYPE65400 for
// types without a name (RFC 3597).
func typeNumber(name string) (uint16, error) {
	if number, known := dns.StringToType[name]; known {
		return number, nil
	}
	number, err := strconv.ParseUint(strings.TrimPrefix(name, "TYPE"), 10, 16)
	if err != nil {
		return 0, fmt.Errorf("record type %q: %w", name, err)
	}
	return uint16(number), nil
}

// replaceFile writes a file so that readers, and whoever comes after a crash, see
// the old content or the new one whole.
func replaceFile(path string, write func(io.Writer) error) error {
	file, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(file.Name()) }() // there is nothing to remove after the rename
	defer file.Close()
	buffer := bufio.NewWriter(file)
	if err := write(buffer); err != nil {
		return err
	}
	if err := buffer.Flush(); err != nil {
		return err
	}
	if err := file.Sync(); err != nil {
		return err
	}
	return os.Rename(file.Name(), path)
}
