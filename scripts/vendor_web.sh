#!/bin/sh
# Fetches the review page's libraries from npm into src/mayak/review/static/vendor, with their
# licences. Run by hand when a version changes; a check-out has the files.
set -eu
cd "$(dirname "$0")/../src/mayak/review/static/vendor"
kept=$PWD
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

fetch() { # package@version, file in it, name here
    cd "$work"
    rm -rf package
    tar xzf "$(npm pack --silent "$1")"
    # Browsers know no bare names, and an import map would need an inline script, which the
    # page's content security policy refuses.
    sed -e 's|from"preact/hooks"|from"./hooks.js"|g' \
        -e 's|from"preact"|from"./preact.js"|g' \
        -e 's|from"@preact/signals-core"|from"./signals-core.js"|g' \
        -e 's|//# sourceMappingURL=.*||' "package/$2" >"$kept/$3.js"
    cp package/LICENSE "$kept/$3-LICENSE.txt"
}

fetch preact@11.2.0 dist/preact.mjs preact
fetch preact@11.2.0 hooks/dist/hooks.mjs hooks
fetch @preact/signals-core@1.14.5 dist/signals-core.module.js signals-core
fetch @preact/signals@2.11.4 dist/signals.module.js signals
fetch htm@3.1.1 dist/htm.module.js htm
