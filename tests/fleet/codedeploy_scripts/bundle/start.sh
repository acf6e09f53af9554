#!/usr/bin/env bash
# shellcheck disable=all

ABSPATH=$(readlink -f $0)
ABSDIR=$(dirname $ABSPATH)
source ${ABSDIR}/profile.sh

REPOSITORY=/home/ec2-user/app/step3
PROJECT_NAME=segansig-service

echo "> copy the build"
echo "> cp $REPOSITORY/zip/*.jar $REPOSITORY"
cp $REPOSITORY/zip/*.jar $REPOSITORY/

echo "> deploy the new application"
JAR_NAME=$(ls -tr $REPOSITORY/*.jar | tail -n 1)
echo "> JAR Name: $JAR_NAME"

echo "> let $JAR_NAME be executed"
chmod +x $JAR_NAME

echo "> run $JAR_NAME"
IDLE_PROFILE=$(find_idle_profile)

echo "> $JAR_NAME runs with profile=$IDLE_PROFILE"
nohup java -jar \
-Dspring.config.location=classpath:/application.properties,classpath:/application-$IDLE_PROFILE.properties,/home/ec2-user/app/application-oauth.properties,/home/ec2-user/app/application-real-db.properties \
-Dspring.profiles.active=$IDLE_PROFILE \
$JAR_NAME > $REPOSITORY/nohup.out 2>&1 &
