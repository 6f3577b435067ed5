import { testWithWorkers } from './support/workers.ts';

testWithWorkers(['blobs', 'manifests', 'http']);
