#!/bin/bash
# shellcheck disable=all
# The stage of an older pipeline, as it stands but for its typing errors. Do not mend it: that a fleet which it
# leaves can be taken over is what the test is about.
#1 - health check
RESPONSE_CODE=$(curl -s -o /dev/null -w "%{http_code}" http://${WAS_1_PRIVATE_IP}:8080/actuator/health)
cd backend/sokdak/build/libs
#2 - 8080 lives?
if [ $RESPONSE_CODE -ne 200 ]
then
echo '############## 8080 LOAD START ##############'
#3 - deploy to 8080
scp -o StrictHostKeyChecking=no -i ${my_private_key_file} *.jar ubuntu@${WAS_2_PRIVATE_IP}:/home/ubuntu/sokdak
scp -o StrictHostKeyChecking=no -i ${my_private_key_file} *.jar ubuntu@${WAS_1_PRIVATE_IP}:/home/ubuntu/sokdak
ssh -o StrictHostKeyChecking=no -i ${my_private_key_file} ubuntu@${WAS_2_PRIVATE_IP} 'cd sokdak && ./deploy-8080.sh'
ssh -o StrictHostKeyChecking=no -i ${my_private_key_file} ubuntu@${WAS_1_PRIVATE_IP} 'cd sokdak && ./deploy-8080.sh'
#4 - kill 8081
for var in {1..100}
do
sleep 1
HEALTH_CHECK_CODE=$(curl -s -o /dev/null -w "%{http_code}" http://${WAS_2_PRIVATE_IP}:8080/actuator/health)
if [ $HEALTH_CHECK_CODE -eq 200 ]
then
ssh -o StrictHostKeyChecking=no -i ${my_private_key_file} ubuntu@${NGINX_PRIVATE_IP} 'cd /etc/nginx/sites-enabled && sudo rm * && cd ~/zero-down-confs && sudo cp sokdak-8080.conf /etc/nginx/sites-enabled/ && sudo nginx -s reload'
ssh -o StrictHostKeyChecking=no -i ${my_private_key_file} ubuntu@${WAS_2_PRIVATE_IP} 'sudo kill -15 $(lsof -ti tcp:8081)'
ssh -o StrictHostKeyChecking=no -i ${my_private_key_file} ubuntu@${WAS_1_PRIVATE_IP} 'sudo kill -15 $(lsof -ti tcp:8081)'
echo 'SWITCHING FROM 8081 TO 8080 SUCCESS'
break
fi
done
echo '############## 8080 LOAD COMPLETE ##############'
else
echo '############## 8081 LOAD START ##############'
scp -o StrictHostKeyChecking=no -i ${my_private_key_file} *.jar ubuntu@${WAS_2_PRIVATE_IP}:/home/ubuntu/sokdak
scp -o StrictHostKeyChecking=no -i ${my_private_key_file} *.jar ubuntu@${WAS_1_PRIVATE_IP}:/home/ubuntu/sokdak
ssh -o StrictHostKeyChecking=no -i ${my_private_key_file} ubuntu@${WAS_2_PRIVATE_IP} 'cd sokdak && ./deploy-8081.sh'
ssh -o StrictHostKeyChecking=no -i ${my_private_key_file} ubuntu@${WAS_1_PRIVATE_IP} 'cd sokdak && ./deploy-8081.sh'
for var in {1..100}
do
sleep 1
HEALTH_CHECK_CODE=$(curl -s -o /dev/null -w "%{http_code}" http://${WAS_2_PRIVATE_IP}:8081/actuator/health)
if [ $HEALTH_CHECK_CODE -eq 200 ]
then
ssh -o StrictHostKeyChecking=no -i ${my_private_key_file} ubuntu@${NGINX_PRIVATE_IP} 'cd /etc/nginx/sites-enabled && sudo rm * && cd ~/zero-down-confs && sudo cp sokdak-8081.conf /etc/nginx/sites-enabled/ && sudo nginx -s reload'
ssh -o StrictHostKeyChecking=no -i ${my_private_key_file} ubuntu@${WAS_2_PRIVATE_IP} 'sudo kill -15 $(lsof -ti tcp:8080)'
ssh -o StrictHostKeyChecking=no -i ${my_private_key_file} ubuntu@${WAS_1_PRIVATE_IP} 'sudo kill -15 $(lsof -ti tcp:8080)'
echo 'SWITCHING FROM 8080 TO 8081 SUCCESS'
break
fi
done
echo '############## 8081 LOAD COMPLETE ##############'
fi
