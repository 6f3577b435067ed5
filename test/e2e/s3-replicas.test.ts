import { testPushesToReplicas } from './support/replicas.ts';

testPushesToReplicas(300);
