"""Reads files with the peers and says what they read and how long it took: one line of JSON a file. Used by ../parse.ts."""
import json
import sys
import time


def markitdown():
    from markitdown import MarkItDown

    converter = MarkItDown()
    return lambda path: converter.convert(path).text_content


def pypdf():
    from pypdf import PdfReader

    return lambda path: "\n".join(page.extract_text() for page in PdfReader(path).pages)


def pdfminer():
    from pdfminer.high_level import extract_text

    return extract_text


read = {"markitdown": markitdown, "pypdf": pypdf, "pdfminer": pdfminer}[sys.argv[1]]()
runs = int(sys.argv[2])
for path in sys.argv[3:]:
    text, times, problem = "", [], None
    for _ in range(runs + 1):  # The first one loads what the format needs, and is not counted.
        began = time.perf_counter()
        try:
            text = read(path)
        except Exception as error:
            problem = f"{type(error).__name__}: {error}"[:300]
        times.append((time.perf_counter() - began) * 1000)
    print(json.dumps({"path": path, "text": text, "ms": sorted(times[1:])[len(times[1:]) // 2], "problem": problem}), flush=True)
