#!/usr/bin/env bash
# Builds every target the way a fleet asks for it: with its compiler, its flags and its engine, which decide
# about coverage and sanitizers, and with the inputs to begin with beside each. Needs CXX, CXXFLAGS,
# LIB_FUZZING_ENGINE, OUT and WORK.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.." 2>/dev/null || true
[[ -f fuzz/oss-fuzz/build.sh ]] || cd "$SRC/tonearm"

# No shared library of this image goes with the target: what there is of libfmt is compiled into it.
cmake -S . -B "$WORK/tonearm" -G Ninja -DCMAKE_BUILD_TYPE=None -DCMAKE_CXX_COMPILER="$CXX" \
  -DCMAKE_CXX_FLAGS="$CXXFLAGS -O1 -g1 -DFMT_HEADER_ONLY" -DCMAKE_EXE_LINKER_FLAGS=-Wl,--as-needed \
  -DTONEARM_FUZZ=ON -DTONEARM_TESTS=OFF
mapfile -t names < <(cd corpus/fuzz && ls)
cmake --build "$WORK/tonearm" --target "${names[@]/#/fuzz_}"
for name in "${names[@]}"; do
  cp "$WORK/tonearm/fuzz_$name" "$OUT/"
  (cd "corpus/fuzz/$name" && zip -q -r "$OUT/fuzz_${name}_seed_corpus.zip" .)
  printf '[libfuzzer]\nmax_len=65536\nlen_control=0\ntimeout=60\n' >"$OUT/fuzz_$name.options"
  [[ ! -f "fuzz/$name.dict" ]] || cp "fuzz/$name.dict" "$OUT/fuzz_$name.dict"
done
