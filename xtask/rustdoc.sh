#!/bin/sh
# rustdoc with its description of the public interface in JSON, which the stable compiler has behind a switch. Only rustdoc
# gets to see the switch: Cargo would compile dependencies anew that ask for it.
RUSTC_BOOTSTRAP=1 exec rustdoc -Z unstable-options --output-format json "$@"
