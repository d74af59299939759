package loopback

import "testing"

func TestHostPort(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"privileged port of a sandbox address moves up", "10.1.240.1:443", "127.1.240.1:10443"},
		{"other ports stay", "10.2.3.4:8080", "127.2.3.4:8080"},
		{"port 1024 is not privileged", "10.2.3.4:1024", "127.2.3.4:1024"},
		{"port 0 stays a free port", "10.2.3.4:0", "127.2.3.4:0"},
		{"loopback addresses are meant as they are", "127.0.0.1:80", "127.0.0.1:80"},
		{"addresses of other networks are left alone", "192.0.2.1:53", "192.0.2.1:53"},
		{"an IPv4 address mapped into IPv6 is the IPv4 address", "[::ffff:10.1.2.3]:53", "127.1.2.3:10053"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := HostPort(test.in)
			if err != nil {
				t.Fatal(err)
			}
			if got != test.want {
				t.Errorf("HostPort(%q) = %q, want %q", test.in, got, test.want)
			}
		})
	}
	for _, bad := range []string{"10.1.2.3", "host:80", "10.1.2.3:http", "10.1.2.3:70000"} {
		if got, err := HostPort(bad); err == nil {
			t.Errorf("HostPort(%q) = %q, want an error", bad, got)
		}
	}
}
