"""The rooms of the house: reads every #include and fails on an arrow that must not be."""
import pathlib
import re
import sys

MAY_INCLUDE = {
    "include": set(),
    "base": set(),
    "config": {"base"},
    "app": {"config", "base"},
    "worker": {"app", "config", "base"},
    "logger": {"config", "base"},
    "master": {"config", "base"},
    "python": set(),
    "examples": set(),
}
EXCEPTIONS = {"master/main.c": {"app", "worker", "logger"}}
INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.M)


def wrong_arrows(root):
    for room, allowed in MAY_INCLUDE.items():
        for path in sorted((root / room).rglob("*.[chd]*")):
            if path.suffix not in (".c", ".h", ".def"):
                continue
            name = path.relative_to(root).as_posix()
            may = allowed | {room} | EXCEPTIONS.get(name, set())
            for target in INCLUDE.findall(path.read_text()):
                other = target.split("/")[0]
                if "/" not in target or other not in may:
                    yield f'{name}: #include "{target}": {room} may include only {sorted(may)}'


def main():
    wrong = list(wrong_arrows(pathlib.Path(sys.argv[1])))
    print("\n".join(wrong) if wrong else "every include goes the right way")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
