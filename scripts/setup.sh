#!/bin/sh
# Makes .venv and installs mayak with its tools into it; does nothing where that is done already.
# Run by every make target. PYTHON=… names another interpreter. pip's own settings (PIP_INDEX_URL,
# PIP_FIND_LINKS, PIP_NO_INDEX, pip.conf) are honoured: a mirror or a folder of wheels works.
set -eu
cd "$(dirname "$0")/.."

venv=.venv
stamp=$venv/.installed
needed_kib=9000000 # PyPI's torch brings CUDA: 6.4 GiB on disk, and pip unpacks beside it

case "${LC_ALL:-${LC_MESSAGES:-${LANG:-}}}" in
    ko*) korean=1 ;;
    *) korean= ;;
esac

say() { # English, Korean
    if [ -n "$korean" ]; then printf '%s\n' "$2" >&2; else printf '%s\n' "$1" >&2; fi
}

stop() {
    say "$@"
    exit 2
}

# What the installation was made from, and where: a moved folder breaks a virtual environment.
made_from() {
    { cat pyproject.toml constraints.txt scripts/setup.sh && pwd; } | cksum
}

recent() {
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
}

if [ "$(cat "$stamp" 2>/dev/null)" = "$(made_from)" ] && recent "$venv/bin/python"; then
    exit 0
fi

python=
for candidate in ${PYTHON:+"$PYTHON"} python3 python3.13 python3.12 python3.11; do
    if recent "$candidate"; then
        python=$candidate
        break
    fi
    # A named interpreter is used or refused, never replaced.
    if [ -n "${PYTHON:-}" ]; then break; fi
done
if [ -z "$python" ]; then
    found=$("${PYTHON:-python3}" --version 2>/dev/null || true)
    stop "mayak needs Python 3.11 or newer; ${PYTHON:-python3} is: ${found:-not there}
On Debian 12, Ubuntu 24.04 and newer: sudo apt install python3 python3-venv
An interpreter elsewhere: make PYTHON=/path/to/python3.11 …" \
        "mayak에는 Python 3.11 이상이 필요합니다. 현재 ${PYTHON:-python3}: ${found:-없음}
Debian 12, Ubuntu 24.04 이상: sudo apt install python3 python3-venv
다른 위치의 인터프리터: make PYTHON=/경로/python3.11 …"
fi

if ! "$python" -c 'import venv, ensurepip' 2>/dev/null; then
    name=$("$python" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')
    stop "$python cannot make virtual environments
sudo apt install python3-venv (for an interpreter beside the system's: $name)" \
        "가상 환경을 만들 수 없습니다: $python
sudo apt install python3-venv (시스템 기본이 아닌 인터프리터라면: $name)"
fi

if [ ! -f "$stamp" ]; then
    free_kib=$(df -Pk . | awk 'NR == 2 { print $4 }')
    if [ "$free_kib" -lt "$needed_kib" ]; then
        stop "the installation needs about $((needed_kib / 1000000)) GB here; $((free_kib / 1000000)) GB are free
make room, or clone to a larger disk" \
            "설치에 약 $((needed_kib / 1000000)) GB가 필요하지만 $((free_kib / 1000000)) GB만 남아 있습니다
공간을 확보하거나 더 큰 디스크에 받으십시오"
    fi
fi

say "installing into $venv (the first time a download of about 3 GB)" \
    "$venv에 설치합니다(처음에는 약 3 GB를 내려받습니다)"
recent "$venv/bin/python" || "$python" -m venv --clear "$venv"
rm -f "$stamp"
pip() {
    "$venv/bin/python" -m pip --disable-pip-version-check --no-input "$@"
}
# pip older than 25.1 knows no dependency groups.
if ! pip install -q -c constraints.txt pip ||
    ! pip install -c constraints.txt --build-constraint constraints.txt -e '.[containers]' --group dev; then
    stop "pip could not install what mayak needs; its message is above
without a network, point pip to a mirror (PIP_INDEX_URL=…) or to a folder of wheels
(PIP_NO_INDEX=1 PIP_FIND_LINKS=…; README.md says how to fill one), then run make again" \
        "pip이 필요한 패키지를 설치하지 못했습니다. 위의 메시지를 확인하십시오
인터넷이 없으면 pip에 미러(PIP_INDEX_URL=…)나 휠 폴더를 지정한 뒤
(PIP_NO_INDEX=1 PIP_FIND_LINKS=…, 준비 방법은 README.ko.md) make를 다시 실행하십시오"
fi
made_from >"$stamp"
