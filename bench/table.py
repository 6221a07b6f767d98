"""Tables as they stand in notes: the first column to the left, numbers to the right."""


def print_table(title, columns, rows):
    rows = [[str(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(columns, *rows)]

    def line(cells):
        first, *others = zip(cells, widths)
        return " | ".join([first[0].ljust(first[1]), *(text.rjust(w) for text, w in others)])

    print(f"\n{title}\n")
    print(f"| {line(columns)} |")
    print("| " + " | ".join(["-" * widths[0], *("-" * (w - 1) + ":" for w in widths[1:])]) + " |")
    for row in rows:
        print(f"| {line(row)} |", flush=True)
