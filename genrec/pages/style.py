"""How the report looks: for light and dark, from a phone's width up, with the system's own fonts."""

STYLE = """
:root {
  color-scheme: light dark;
  --paper: #faf9f5; --card: #ffffff; --ink: #22242a; --soft: #62656e; --line: #e5e2d9; --grid: #eeebe3;
  --first: #0b7a75; --first-soft: #d8efec; --other: #aeb4bd; --whisker: #22242a;
  --warn: #7a3d00; --warn-paper: #fff1d6; --warn-line: #e0a64b;
  --c1: #0b7a75; --c2: #c73d00; --c3: #3a64d8; --c4: #5b2a00; --c5: #210f80; --c6: #06568b; --c7: #48183f;
  --c8: #723650; --c9: #2f74aa; --c10: #a82418; --on-colour: #ffffff; --up: #4fc4b8; --down: #ff9a66;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #131519; --card: #1b1e24; --ink: #e9e7e1; --soft: #9a9eaa; --line: #2e323b; --grid: #262a32;
    --first: #4fc4b8; --first-soft: #17393a; --other: #5f6672; --whisker: #f1efe9;
    --warn: #ffd58a; --warn-paper: #33260e; --warn-line: #8a672a;
    --c1: #4fc4b8; --c2: #f0804e; --c3: #8aa4ff; --c4: #efe36b; --c5: #81fbff; --c6: #3c9baa; --c7: #49e9b8;
    --c8: #a0c6ff; --c9: #9079fe; --c10: #c9c510; --on-colour: #131519; --up: #1f8f86; --down: #b0501f;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; background: var(--paper); color: var(--ink); overflow-wrap: anywhere;
  font: 1rem/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif;
  font-variant-numeric: tabular-nums; -webkit-text-size-adjust: 100%;
}
main { max-width: 68rem; margin: 0 auto; padding: clamp(1.25rem, 4vw, 3.5rem) clamp(1rem, 4vw, 2.5rem); }
h1, h2 {
  font-family: "Iowan Old Style", "Palatino Linotype", Palatino, "Book Antiqua", Georgia, serif;
  font-weight: 600; line-height: 1.15; text-wrap: balance; letter-spacing: -.01em;
}
h1 { font-size: clamp(1.9rem, 5.5vw, 3rem); margin: 0 0 .5rem; }
h2 { font-size: clamp(1.35rem, 3.4vw, 1.75rem); margin: 0 0 .4rem; }
h3, h4 { font-size: .95rem; margin: 0 0 .7rem; font-weight: 650; }
p { margin: 0 0 1rem; max-width: 44rem; }
section { margin-top: clamp(2.2rem, 5vw, 3.6rem); }
.verdict { font-weight: 600; }
.lead { font-size: 1.15rem; line-height: 1.5; }
.soft { color: var(--soft); font-size: .86rem; }
.warning {
  border: 2px solid var(--warn-line); background: var(--warn-paper); color: var(--warn); border-radius: .6rem;
  padding: .8rem 1.1rem; margin: 0 0 1.8rem;
}
.warning strong { display: block; font-size: 1.2rem; letter-spacing: .06em; text-transform: uppercase; }
.figures { display: flex; flex-wrap: wrap; gap: .6rem 2.4rem; margin: 1.4rem 0; padding: 0; }
.figures div { display: flex; flex-direction: column-reverse; }
.figures dt { color: var(--soft); font-size: .86rem; }
.figures dd { margin: 0; font-size: 1.6rem; font-weight: 600; line-height: 1.2; }
.panels { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 22rem), 1fr)); gap: 1rem; }
.card { padding: 1rem 1.1rem; background: var(--card); border: 1px solid var(--line); border-radius: .7rem; }
.bar { display: grid; grid-template-columns: 1fr auto; gap: .1rem .8rem; margin-top: .6rem; }
.bar .name, .bar b { font-size: .92rem; }
.bar b { font-weight: 600; }
.track {
  grid-column: 1 / -1; position: relative; height: .8rem; background: var(--grid); border-radius: .25rem;
}
.fill { position: absolute; inset: 0 auto 0 0; background: var(--other); border-radius: .25rem; }
.own .fill { background: var(--first); }
.own b, .own .name { font-weight: 700; }
.axis { position: relative; height: 1.15rem; margin-top: .25rem; border-top: 1px solid var(--soft); }
.axis span {
  position: absolute; transform: translateX(-50%); padding-top: .12rem; color: var(--soft); font-size: .74rem;
  line-height: 1.3; white-space: nowrap;
}
.axis span::before {
  content: ""; position: absolute; left: 50%; top: 0; height: .22rem; border-left: 1px solid var(--soft);
}
.axis span:first-child { transform: none; }
.axis span:first-child::before { left: 0; }
.axis span:last-child { transform: translateX(-100%); }
.axis span:last-child::before { left: auto; right: 0; }
.range { position: absolute; top: 50%; height: 0; border-top: 2px solid var(--whisker); }
.range::before, .range::after {
  content: ""; position: absolute; top: -.32rem; height: .55rem; border-left: 2px solid var(--whisker);
}
.range::after { right: 0; }
.c1 { --own: var(--c1); } .c2 { --own: var(--c2); } .c3 { --own: var(--c3); } .c4 { --own: var(--c4); }
.c5 { --own: var(--c5); } .c6 { --own: var(--c6); } .c7 { --own: var(--c7); } .c8 { --own: var(--c8); }
.c9 { --own: var(--c9); } .c10 { --own: var(--c10); }
.panels > :only-child:has(svg) { max-width: 34rem; }
.panels > :last-child:nth-child(odd):not(:has(svg)) { grid-column: 1 / -1; }
.panels > * { min-width: 0; }
.panels + .panels, .stack + .panels { margin-top: 1rem; }
.coloured .fill { background: var(--own); opacity: .82; }
.part {
  position: absolute; top: 50%; width: .4rem; height: .4rem; margin: -.2rem 0 0 -.2rem; border-radius: 50%;
  background: var(--card); border: 1.5px solid var(--whisker);
}
.chip {
  display: inline-block; min-width: 1.35em; padding: 0 .3em; border-radius: .8em; background: var(--own);
  color: var(--on-colour); font-size: .8em; font-weight: 700; line-height: 1.5; text-align: center;
}
.key {
  list-style: none; display: flex; flex-wrap: wrap; gap: .3rem 1.1rem; margin: 0 0 1rem; padding: 0; font-size: .92rem;
}
.key li { display: block; padding: 0; }
.key li > :first-child { color: var(--on-colour); padding: 0 .3em; }
.unseen { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
.wide { position: relative; overflow-x: auto; padding: .3rem clamp(0rem, 1vw, .5rem); }
table { border-collapse: collapse; width: 100%; font-size: clamp(.82rem, 2.4vw, .92rem); }
th, td {
  padding: .45rem clamp(.3rem, 1.2vw, .7rem); text-align: right; vertical-align: baseline;
  white-space: nowrap; border-top: 1px solid var(--line);
}
thead th { border-top: 0; font-size: .88rem; }
th:first-child, td:first-child {
  text-align: left; white-space: normal; font-weight: 500; overflow-wrap: normal;
}
th.own, td.own { background: color-mix(in srgb, var(--first-soft) 55%, transparent); }
td small { display: block; color: var(--soft); font-size: .76rem; }
td .best { font-weight: 700; }
tbody th { font-weight: 500; }
thead td { border-top: 0; }
.pairs { display: none; list-style: none; margin: 0; padding: 0; font-size: .9rem; }
.who { display: inline-block; max-width: 100%; vertical-align: top; }
.pairs li {
  display: grid; grid-template-columns: 1fr auto; gap: 0 .8rem; align-items: center; padding: .4rem .5rem;
  border-top: 1px solid var(--line); border-radius: 0;
}
.pairs li:first-child { border-top: 0; }
.pairs li > :first-child { color: inherit; text-align: left; padding: 0; }
.pairs b { text-align: right; font-weight: 600; }
.pairs small { display: block; font-weight: 400; font-size: .8rem; }
.pairs .up { background: color-mix(in srgb, var(--up) var(--share), var(--card)); }
.pairs .down { background: color-mix(in srgb, var(--down) var(--share), var(--card)); }
.matrix td { text-align: center; }
.matrix thead th { text-align: center; position: relative; }
.matrix thead td { text-align: left; color: var(--soft); font-size: .8rem; }
.matrix tbody th { position: sticky; left: 0; background: var(--card); }
.matrix .up { background: color-mix(in srgb, var(--up) var(--share), var(--card)); }
.matrix .down { background: color-mix(in srgb, var(--down) var(--share), var(--card)); }
.matrix .self { color: var(--soft); }
.matrix .self[style] { background: color-mix(in srgb, var(--grid) 70%, var(--card)); }
.matrix .up small, .matrix .down small { color: inherit; }
.matrix td, .matrix tbody th { vertical-align: middle; }
.facts th { text-align: left; vertical-align: top; white-space: nowrap; color: var(--soft); }
.facts td { text-align: left; white-space: normal; }
.facts tr:first-child > * { border-top: 0; }
.options { font-size: .88rem; }
.options dt { font-weight: 600; }
.options dd { margin: .1rem 0 .8rem; color: var(--soft); }
.steps dt { font-weight: 600; font-size: .92rem; }
.steps dd { margin: .25rem 0 1rem; }
pre.wide {
  margin: 0; padding: .6rem .8rem; background: var(--card); border: 1px solid var(--line); border-radius: .5rem;
  font: .86rem/1.5 ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace;
}
:focus-visible { outline: 2.5px solid var(--first); outline-offset: 2px; }
.stack { display: grid; grid-template-columns: minmax(0, 1fr); gap: 1rem; }
.card + .card.wide, section > details > .card { margin-top: 1rem; }
svg { display: block; width: 100%; max-width: 32rem; height: auto; }
svg text { fill: var(--soft); font: 11px system-ui, sans-serif; }
svg .grid { stroke: var(--grid); }
svg .line { fill: none; stroke: var(--own); stroke-width: 2; stroke-linejoin: round; }
svg .dot { fill: var(--own); stroke: var(--card); stroke-width: 2; }
svg .whisker { stroke: var(--own); stroke-width: 3; stroke-linecap: round; opacity: .55; }
svg .mark { fill: var(--ink); font-weight: 650; }
svg .number { fill: var(--on-colour); font-size: 10px; font-weight: 700; }
svg .number.small { font-size: 8px; }
@media (max-width: 40rem) {
  .pairs { display: block; }
  .squared { display: none; }
}
@media (max-width: 30rem) {
  svg text { font-size: 12.5px; }
  .card { padding: .9rem; }
}
.user { margin-top: 1.1rem; }
.lists {
  display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 13rem), 1fr)); gap: 1.5rem 2rem;
}
ol { list-style: none; margin: 0; padding: 0; font-size: .9rem; line-height: 1.35; }
li {
  display: grid; grid-template-columns: 1.7rem 1fr auto; gap: 0 .4rem; padding: .28rem .35rem;
  border-radius: .35rem;
}
li > :first-child { color: var(--soft); text-align: right; padding-right: .2rem; }
li .title { display: -webkit-box; -webkit-box-orient: vertical; -webkit-line-clamp: 2; overflow: hidden; }
li .thin {
  grid-column: 2 / -1; height: .3rem; margin-top: .2rem; background: var(--grid); border-radius: .15rem;
}
li .thin i { display: block; height: 100%; background: var(--first); border-radius: .15rem; }
li .because { grid-column: 2 / -1; color: var(--soft); font-size: .86em; }
li.gap { padding-top: 0; padding-bottom: 0; }
.outcome {
  display: inline-block; margin-right: .3rem; padding: 0 .55em; border-radius: .8em; border: 1.5px solid var(--soft);
}
.outcome.hit { background: var(--first-soft); border-color: var(--first); }
.outcome.near-miss { background: var(--warn-paper); border-color: var(--warn-line); color: var(--warn); }
.history p { margin-bottom: .7rem; }
details .lists { margin-top: .8rem; }
li.hit { background: var(--first-soft); }
li.hit .title { font-weight: 650; }
.history { border-bottom: 1px solid var(--line); padding-bottom: .9rem; margin-bottom: 1.1rem; }
.trail { display: flex; flex-wrap: wrap; gap: .35rem; font-size: .86rem; line-height: 1.3; }
.trail span { background: var(--grid); border-radius: .4rem; padding: .22rem .55rem; max-width: 100%; }
.trail .next { background: var(--first-soft); outline: 1.5px solid var(--first); font-weight: 650; }
details { margin-top: .6rem; }
summary { cursor: pointer; color: var(--soft); font-size: .9rem; }
details table { margin-top: .5rem; max-width: 44rem; }
details td { text-align: left; white-space: normal; }
.notes { font-size: .92rem; padding-left: 1.1rem; max-width: 46rem; }
.notes li { display: list-item; list-style: disc; padding: .15rem 0; }
.notes li > :first-child { color: inherit; padding: 0; }
@media (min-width: 56rem) {
  .user.one { display: grid; grid-template-columns: minmax(0, 2fr) minmax(0, 3fr); gap: 0 2.2rem; }
  .user.one .history { border-bottom: 0; margin-bottom: 0; }
  .user.one > details { grid-column: 1 / -1; }
}
@media print { body { background: none; } .card { break-inside: avoid; } }
"""
