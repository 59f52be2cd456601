// hello is what the regions run: it answers 200 with its VERSION on port 8080. With FAIL set it exits.
package main

import (
	"fmt"
	"log"
	"net/http"
	"os"
)

func main() {
	if os.Getenv("FAIL") != "" {
		log.Fatal("told to fail")
	}
	answer := func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "hello", os.Getenv("VERSION")) }
	log.Fatal(http.ListenAndServe(":8080", http.HandlerFunc(answer)))
}
