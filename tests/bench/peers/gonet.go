// Go peer: net/http, a goroutine for each connection.
package main

import (
	"io"
	"log"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"time"
	"unsafe"
)

const threadCPU = 3 // CLOCK_THREAD_CPUTIME_ID

func threadTime() time.Duration {
	var ts syscall.Timespec
	syscall.Syscall(syscall.SYS_CLOCK_GETTIME, threadCPU, uintptr(unsafe.Pointer(&ts)), 0)
	return time.Duration(ts.Nano())
}

func spin() {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for until := threadTime() + time.Millisecond; threadTime() < until; {
	}
}

func answer(work func()) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		work()
		w.Header().Set("Content-Type", "text/plain")
		io.WriteString(w, "Hello World!")
	}
}

func main() {
	file := filepath.Join(os.Getenv("FILES"), "file16k")
	http.Handle("/hello", answer(func() {}))
	http.Handle("/noop", answer(func() {}))
	http.Handle("/sleep", answer(func() { time.Sleep(50 * time.Millisecond) }))
	http.Handle("/spin", answer(spin))
	http.HandleFunc("/file16k", func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, file) })
	log.Fatal(http.ListenAndServe("127.0.0.1:"+os.Getenv("PORT"), nil))
}
