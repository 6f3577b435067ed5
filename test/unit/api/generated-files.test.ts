import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { generatedFiles } from '../../../scripts/generate.ts';

const root = join(import.meta.dirname, '../../..');

describe('The generated files', () => {
  for (const file of generatedFiles) {
    it(`${file.path} is as its source makes it, and says where it comes from.`, async () => {
      const content = await file.content();
      assert.match(content, /Generated (by|from) \S+.*do not edit\./i);
      assert.equal(await readFile(join(root, file.path), 'utf8'), content);
    });
  }
});
