"""Figures as ratio tables, for a terminal and as Markdown, and as bars in SVG."""
import datetime
import html
import os
import platform
import re
import statistics
import subprocess

COLOURS = {"edge": "#0b6e4f", "nginx": "#7a8b99", "h2o": "#b08f26", "haproxy": "#5b7db1", "varnish": "#8d5a97",
           "ats": "#b5533c", "nginx-1m": "#7a8b99"}
NAMES = {"edge": "Entrepot", "nginx": "nginx", "h2o": "h2o (static files)", "haproxy": "HAProxy",
         "varnish": "Varnish and hitch", "ats": "Traffic Server", "nginx-1m": "nginx, slice 1m"}


def figures_of(figures, row, server, which=0):
    return [pair[which] for pair in figures.of.get((row.name, server), [])]


def spread(values, digits=3):
    return f"{statistics.median(values):.{digits}f} [{min(values):.{digits}f}-{max(values):.{digits}f}]"


def ratios(figures, row, peer, which=0):
    return [e / p for e, p in zip(figures_of(figures, row, "edge", which), figures_of(figures, row, peer, which)) if p]


def holds(figures, row):
    """[(what it is held to, what it is, whether it holds)]"""
    told = []
    for peer, limit in row.limits.items():
        if of_peer := ratios(figures, row, peer):
            told.append((f"<= {limit:g} x {peer}", spread(of_peer, 2), statistics.median(of_peer) <= limit))
    if row.most and (own := figures_of(figures, row, "edge")):
        told.append((f"<= {row.most:g} {row.unit}", spread(own), statistics.median(own) <= row.most))
    return told


def measured(figures, rows):
    return [row for row in rows if figures_of(figures, row, "edge")]


def print_table(figures, rows):
    print()
    for row in measured(figures, rows):
        for wanted, got, is_held in holds(figures, row):
            print(f"{row.name:18} {wanted:22} {got:22} {'' if is_held else 'MISSED'}")


def version_of(command):
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        return ""
    found = re.search(r"\d+\.\d+[\w.~+-]*", done.stdout + done.stderr)
    return found[0] if found else ""


def versions(binary, peers):
    commands = {"entrepot": [binary, "-v"], "nginx": ["nginx", "-v"], "h2o": ["h2o", "-v"], "haproxy": ["haproxy", "-v"],
                "varnish": ["varnishd", "-V"], "hitch": ["hitch", "-V"], "ats": ["traffic_server", "-V"],
                "h2load": ["h2load", "--version"], "openssl": ["openssl", "version"]}
    unasked = {"nginx", "h2o", "haproxy", "varnish", "hitch", "ats"} - set(peers) - ({"hitch"} if "varnish" in peers else set())
    told = {name: version_of(command) for name, command in commands.items() if name not in unasked}
    return ", ".join(f"{name} {version}" for name, version in told.items() if version)


def machine():
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        model = re.search(r"model name\s*: (.*)", file.read())
    with open("/proc/meminfo", encoding="ascii") as file:
        memory = int(file.readline().split()[1]) / (1 << 20)
    return (f"{model[1] if model else platform.machine()}, {os.cpu_count()} cores, {memory:.0f} GiB, "
            f"Linux {platform.release()}")


def write(folder, command, binary, options, figures, rows):
    rows = measured(figures, rows)
    servers = ["edge", *options.peers]
    lines = ["# Beside its peers", "",
             f"`{command}`, {datetime.date.today():%-d %B %Y}. {machine()}. {versions(binary, options.peers)}.", "",
             "One run, in which the servers took turns; each ratio is of figures of one round: median [min-max] of the "
             f"{options.rounds} rounds. How it is measured: [README.md](README.md#peers.sh).", ""]
    lines += ["## What it is held to", "", "| work | held to | is | |", "|---|---|---|---|"]
    for row in rows:
        for wanted, got, is_held in holds(figures, row):
            lines.append(f"| {row.title} | {wanted.replace('<=', '≤')} | {got} | {'' if is_held else '**missed**'} |")
    lines += ["", "## The figures", "", "Server CPU where the unit is one of time per something; medians. Behind a slash: "
              "with the load generator's, because who writes much at once moves work to who reads.", "",
              "| work | unit | " + " | ".join(NAMES[name] for name in servers) + " |", "|---" * (len(servers) + 2) + "|"]
    for row in rows:
        cells = []
        for server in servers:
            own = figures_of(figures, row, server)
            cell = f"{statistics.median(own):.3g}" if own else "-"
            if own and row.total:
                cell += f" / {statistics.median(figures_of(figures, row, server, 1)):.3g}"
            cells.append(cell)
        lines.append(f"| {row.title} | {row.unit} | " + " | ".join(cells) + " |")
    drawn = [row for row in rows if row.total and figures_of(figures, row, "nginx")]
    if drawn:
        os.makedirs(os.path.join(folder, "plots"), exist_ok=True)
        with open(os.path.join(folder, "plots/hits.svg"), "w", encoding="utf-8") as file:
            file.write(bars(figures, drawn, servers))
        lines += ["", "![Server CPU of hits and handshakes, nginx being 1](plots/hits.svg)"]
    with open(os.path.join(folder, "REPORT.md"), "w", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")


def bars(figures, rows, servers):
    """Server CPU of each row, nginx being 1: shorter is better."""
    thick, gap, left, scale, most = 9, 12, 265, 230, 2.0
    height = sum(gap + thick * sum(bool(figures_of(figures, row, each)) for each in servers) for row in rows) + 50
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + scale * most + 60:.0f}" height="{height}" '
           'font-family="sans-serif" font-size="11">', '<rect width="100%" height="100%" fill="white"/>']
    at = left
    for server in servers:
        out.append(f'<rect x="{at - 250}" y="8" width="9" height="9" fill="{COLOURS[server]}"/>'
                   f'<text x="{at - 237}" y="17">{html.escape(NAMES[server])}</text>')
        at += 30 + 7 * len(NAMES[server])
    y = 32
    for row in rows:
        base = statistics.median(figures_of(figures, row, "nginx"))
        out.append(f'<text x="{left - 6}" y="{y + 10}" text-anchor="end">{html.escape(row.title)}</text>')
        for server in servers:
            own = figures_of(figures, row, server)
            if not own:
                continue
            ratio = statistics.median(own) / base
            width = min(ratio, most) * scale
            out.append(f'<rect x="{left}" y="{y}" width="{width:.1f}" height="{thick - 1}" fill="{COLOURS[server]}"/>'
                       f'<text x="{left + width + 4:.1f}" y="{y + 8}" font-size="9">{ratio:.2f}</text>')
            y += thick
        y += gap
    out.append(f'<line x1="{left + scale}" y1="26" x2="{left + scale}" y2="{y}" stroke="#999" stroke-dasharray="3 3"/>')
    return "\n".join([*out, "</svg>"]) + "\n"
