import { testWithWorkers } from '../support/workers.ts';

testWithWorkers([
  'auth',
  'client-certificates',
  'listings',
  'raw-requests',
  'read-only',
  'redirects',
  'token-auth',
]);
