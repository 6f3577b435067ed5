import assert from 'node:assert/strict';
import { test } from 'node:test';
import { configurationPage } from '../../../../src/contract/config/reference-page.ts';

test('the page has a row for each option with its type and default', () => {
  const page = configurationPage();
  assert.match(page, /^\| `version` \| `0\.1` \| required \|/m);
  assert.match(page, /^\| `http\.draintimeout` \| duration \| `30s` \|/m);
  assert.match(page, /^\| `http\.tls` \| map \| off \|/m);
  assert.match(page, /^\| `http\.headers` \| map of lists \| – \|/m);
});
