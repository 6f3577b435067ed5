import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { killProcess } from '../collector-process.ts';
import { succeed } from '../command.ts';

/* Runs the commands of docs/guides: each shell block in a shell of its own, with the names that the guide speaks of in its environment. */

const root = join(import.meta.dirname, '../../..');

/** What a guide tells to do. */
interface Guide {
  readonly blocks: readonly string[];
  /** Files that it shows, by the name in a comment before them. */
  readonly files: ReadonlyMap<string, string>;
}

export function readGuide(name: string): Guide {
  const text = readFileSync(join(root, 'docs/guides', `${name}.md`), 'utf8');
  const blocks = [...text.matchAll(/^( *)```sh\n(.*?)^ *```$/gms)].map(([, indent, block]) =>
    withoutIndent(block, indent),
  );
  const files = [...text.matchAll(/^( *)<!-- (\S+) -->\n\n *```yaml\n(.*?)^ *```$/gms)].map(
    ([, indent, file = '', content]) => [file, withoutIndent(content, indent)] as const,
  );
  return { blocks, files: new Map(files) };
}

/** As it stands in a list. */
function withoutIndent(text = '', indent = ''): string {
  return text.replaceAll(new RegExp(`^${indent}`, 'gm'), '');
}

/** A folder to run a guide in, with programs under the names that people call them. */
export class Place {
  readonly folder: string;
  readonly #environment: Readonly<Record<string, string>>;

  constructor(t: TestContext, environment: Readonly<Record<string, string>>, programs = '') {
    this.folder = mkdtempSync(join(tmpdir(), 'guide-'));
    t.after(() => rmSync(this.folder, { recursive: true, force: true }));
    const path = [join(root, 'bin'), programs, process.env['PATH']].filter(Boolean).join(':');
    this.#environment = { ...environment, PATH: path, HOME: this.folder };
  }

  /** @throws with what it printed when a command fails. */
  run(block: string | undefined): Promise<string> {
    assert.ok(block !== undefined, 'the guide has another block');
    const environment = { ...this.#environment };
    return succeed('bash', ['-euo', 'pipefail', '-c', block], {
      environment,
      folder: this.folder,
      timeout: 180_000,
    });
  }

  /** For a command that does not end by itself. */
  start(t: TestContext, block: string | undefined): ChildProcess {
    assert.ok(block !== undefined, 'the guide has another block');
    const env = { ...process.env, ...this.#environment };
    const child = spawn('bash', ['-euo', 'pipefail', '-c', `exec env ${block}`], {
      env,
      cwd: this.folder,
      stdio: 'ignore',
    });
    t.after(() => killProcess(child));
    return child;
  }
}
